# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The detector: a model family, its labels and a runner, joined to one call per image."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecam_core.errors import InferenceError
from edgecam_core.inference.backends import open_runner
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.runner import Progress, Runner, RunnerOptions, silent
from edgecam_core.models.calibration import ImageCalibration
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import Candidates, Family, check_candidates, open_family
from edgecam_core.models.labels import fit_labels, metadata_labels, numbered, read_labels
from edgecam_core.models.nms import nms
from edgecam_core.models.preprocess import Placement, Preprocessor
from edgecam_core.models.selection import Selection
from edgecam_core.models.tracker import Tracker
from edgecam_core.models.zoo import locate
from edgecam_core.types import Detections, Frame

# Greedy suppression is quadratic; with more candidates than this only the best take part (pytorch-ssd: 200 a class).
_MOST_CANDIDATES = 2000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as the network takes it (see :class:`InputSpec`), its place in source pixels, its capture time."""

    tensor: np.ndarray
    placement: Placement
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds the stages of one batch took."""

    infer: float = 0.0
    decode: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A model that was read and understood, but not loaded for inference."""

    model: ModelFile
    family: Family
    labels: tuple[str, ...]

    @classmethod
    def read(cls, settings: DetectorSettings, progress: Progress = silent) -> Plan:
        """Find the model, its family and labels. Blocks while a model of the zoo is downloaded the first time.

        Raises:
            ModelError: no such model, or one that fits no family.
            SettingError: labels that do not fit the model.
        """
        model = ModelFile.read(locate(settings.model, progress))
        labels, origin = _labels(settings, model)
        family = open_family(model, metadata_labels(model) or labels)  # the user's have to fit the model's own
        columns, background = family.columns, family.has_background
        fitted = fit_labels(labels, columns, background, origin) if labels else numbered(columns, background)
        return cls(model, family, fitted)


class Detector:
    """Finds objects in images.

    :meth:`prepare` and :meth:`update` may be called from any thread; up to ``streams`` threads may detect at a
    time. ``labels[class_id]`` names what is found; ``timings`` are those of the last call; ``warnings`` what works,
    but not as it should; ``tuned`` whether it runs the way that was measured to be fastest (see models/tuning.py).
    """

    def __init__(self, plan: Plan, runner: Runner, settings: DetectorSettings) -> None:
        self.model = plan.model
        self.family = plan.family
        self.labels = plan.labels
        self.runner = runner
        self.timings = Timings()
        self.warnings: list[str] = []
        self.tuned = False
        self._selection = Selection.make(settings, self.labels, self.family.has_background)
        self._track_patience = settings.track_patience if settings.track else None
        self._trackers: dict[str, Tracker] = {}
        tensor = runner.inputs[self.family.spec.name]
        self._batched = self.family.spec.layout != "chw"
        self._fixed_batch = tensor.shape[0] if self._batched else 1
        self.max_batch = self._fixed_batch or settings.max_batch
        self._dtype = tensor.dtype
        self._preprocessor = Preprocessor(self.family.spec)
        self.streams = runner.streams

    @classmethod
    def open(cls, settings: DetectorSettings, progress: Progress = silent, streams: int = 1) -> Detector:
        """Read and load the model; blocks from a tenth of a second (ONNX Runtime) to minutes (engine building).

        Args:
            progress: called, from this thread, with what a long load is doing.
            streams: how many threads should detect at a time; ``streams`` of the detector is how many may.

        Raises:
            SettingError, ModelError, MissingDependency: see :class:`Plan` and :func:`open_runner`.
        """
        return cls.load(Plan.read(settings, progress), settings, progress, streams)

    @classmethod
    def load(cls, plan: Plan, settings: DetectorSettings, progress: Progress = silent, streams: int = 1) -> Detector:
        """Load a model that was read before; as :meth:`open`."""
        if settings.track:
            streams = 1  # it takes images in their order
        warnings: list[str] = []
        options = replace(runner_options(plan, settings, progress), degraded=warnings.append, streams=streams)
        model = dynamic_batch(plan.model, options) if settings.max_batch > 1 else plan.model
        detector = cls(plan, open_runner(model, settings.backend, options), settings)
        detector.warnings = warnings
        return detector

    def update(self, settings: DetectorSettings) -> None:
        """Take over thresholds and classes, from the next image on.

        Raises:
            SettingError: a class the model does not have; nothing has changed then.
        """
        self._selection = Selection.make(settings, self.labels, self.family.has_background)

    def detect(self, image: Frame | np.ndarray) -> Detections:
        """Detect in one image: a Frame of any encoding, or (H, W, 3) uint8 BGR.

        Raises:
            ImageError: the image cannot be used.
            InferenceError: the model failed on it. The detector stays usable after either.
        """
        return self.detect_batch([image])[0]

    def detect_batch(
        self, images: Sequence[Frame | np.ndarray], cameras: Sequence[str] | None = None
    ) -> list[Detections]:
        """Detect in several images, of any sizes; in one call of the model where it takes so many at once.

        Args:
            cameras: the camera of each image, for the regions of single cameras and for tracking.
        """
        return self.detect_prepared([self.prepare(image) for image in images], cameras)

    def prepare(self, image: Frame | np.ndarray) -> Prepared:
        """The part of detecting that needs no model; safe to run during the previous inference.

        Raises:
            ImageError: the image cannot be used.
        """
        frame = image if isinstance(image, Frame) else Frame.from_array(image, "bgr8")
        tensor, placement = self._preprocessor.prepare(frame)
        return Prepared(tensor.astype(self._dtype, copy=False), placement, frame.stamp_ns)

    def detect_prepared(self, images: Sequence[Prepared], cameras: Sequence[str] | None = None) -> list[Detections]:
        """As :meth:`detect_batch`, of prepared images."""
        cameras = cameras or [""] * len(images)
        found: dict[int, Detections] = {}
        by_shape: dict[tuple[int, ...], list[int]] = {}  # one size for all, but where the network takes any
        for index, image in enumerate(images):
            by_shape.setdefault(image.tensor.shape, []).append(index)
        for indices in by_shape.values():
            for start in range(0, len(indices), self.max_batch):
                chosen = indices[start : start + self.max_batch]
                some = self._detect([images[index] for index in chosen], [cameras[index] for index in chosen])
                found |= dict(zip(chosen, some, strict=True))
        return [found[index] for index in range(len(images))]

    def _detect(self, images: Sequence[Prepared], cameras: Sequence[str]) -> list[Detections]:
        selection = self._selection
        started = time.perf_counter()
        batch = self._batch([image.tensor for image in images])
        more = {
            name: values.astype(self.runner.inputs[name].dtype, copy=False)  # TensorRT 8 makes int32 of int64
            for name, values in self.family.more_inputs(len(batch)).items()
        }
        outputs = self.runner.infer({self.family.spec.name: batch, **more})
        inferred = time.perf_counter()
        found = []
        for index, (image, camera) in enumerate(zip(images, cameras, strict=True)):
            candidates = self._candidates(outputs, index, selection)
            chosen = self._choose(candidates, image.placement, selection, camera)
            found.append(self._tracked(chosen, image.stamp_ns, selection, camera))
        self.timings = Timings(inferred - started, time.perf_counter() - inferred)
        return found

    def _candidates(self, outputs: Mapping[str, np.ndarray], index: int, selection: Selection) -> Candidates:
        try:
            return self.family.candidates(outputs, index, selection.candidates)
        except (IndexError, ValueError, TypeError) as error:
            shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape))}" for name, value in outputs.items())
            raise InferenceError(f"the model's outputs are not those of its file ({shapes}): {error}") from error

    def _batch(self, tensors: list[np.ndarray]) -> np.ndarray:
        """One array of them; a model of a fixed batch gets it filled up."""
        if self._fixed_batch:
            tensors = tensors + tensors[:1] * (self._fixed_batch - len(tensors))
        return tensors[0] if len(tensors) == 1 else np.concatenate(tensors)

    def _choose(self, candidates: Candidates, placement: Placement, selection: Selection, camera: str) -> Detections:
        check_candidates(candidates, self.family.fractions, placement.size)
        boxes = placement.to_source(candidates.boxes, self.family.fractions)
        scores, classes = candidates.scores, candidates.classes
        real = np.flatnonzero(_have_area(boxes))
        if len(real) > _MOST_CANDIDATES:
            real = real[np.argsort(-scores[real], kind="stable")[:_MOST_CANDIDATES]]
        boxes, scores, classes = boxes[real], scores[real], classes[real]
        # Suppressed unclipped and clipped afterwards, as pytorch-ssd and Ultralytics do: clipped first,
        # two objects at the image's edge may look like one.
        clipped = placement.clip(boxes)
        wanted = _have_area(clipped) & selection.inside(clipped, placement.width, placement.height, camera)
        if self.family.needs_nms or selection.agnostic:
            # What is not wanted may well suppress a worse box that is: it is the same object.
            most = selection.most if wanted.all() else len(scores)
            rivals = np.zeros_like(classes) if selection.agnostic else classes
            kept = nms(boxes, scores, rivals, selection.nms_threshold, most)
        else:
            kept = np.argsort(-scores, kind="stable")
        kept = kept[wanted[kept]][: selection.most]
        return Detections(clipped[kept], scores[kept], classes[kept].astype(np.int32), self.labels)

    def classes(self) -> list[tuple[int, str]]:
        """Number and label of everything the model can report: neither the background nor columns without a class."""
        unused = {0} if self.family.has_background else set()
        unused |= set(self.model.fact("unused", ()))
        return [(number, label) for number, label in enumerate(self.labels) if number not in unused]

    def _tracked(self, found: Detections, stamp_ns: int, selection: Selection, camera: str) -> Detections:
        if self._track_patience is None:
            return found
        tracker = self._trackers.setdefault(camera, Tracker(self._track_patience))
        return tracker.update(found, found.scores > selection.thresholds[found.class_ids], stamp_ns)

    def continue_from(self, other: Detector) -> None:
        """Take over the tracks of a detector that is used no more, where it ran the same model."""
        if other.model.sha256 == self.model.sha256:
            self._trackers = other._trackers

    def close(self) -> None:
        """Free the model. Calling it twice is harmless."""
        self.runner.close()


def runner_options(plan: Plan, settings: DetectorSettings, progress: Progress = silent) -> RunnerOptions:
    """How a plan's model is to be loaded.

    Raises:
        SettingError: the calibration folder holds no image.
    """
    calibration = ImageCalibration(settings.calibration, plan.family.spec) if settings.calibration else None
    return RunnerOptions(
        precision=settings.precision,
        device=settings.device,
        threads=settings.threads,
        cache=settings.cache_folder,
        rebuild=settings.force_engine_update,
        max_batch=settings.max_batch,
        calibration=calibration,
        progress=progress,
    )


def _have_area(boxes: np.ndarray) -> np.ndarray:
    """(N,) bool; False for boxes with NaN as well."""
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def _labels(settings: DetectorSettings, model: ModelFile) -> tuple[tuple[str, ...], str]:
    """From the user's file, else from the model, else from a labels.txt next to it; and their origin."""
    label_file = model.path.with_name("labels.txt")
    if settings.labels:
        return read_labels(settings.labels), settings.labels
    if names := metadata_labels(model):
        return names, f"{model.path} (metadata)"
    return (read_labels(label_file), str(label_file)) if label_file.is_file() else ((), "")
