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

"""The detector: combines a runner, a model family and its labels into one call per image."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecam_core.errors import InferenceError
from edgecam_core.inference.backends import open_runner
from edgecam_core.inference.batching import dynamic_batch
from edgecam_core.inference.runner import Progress, Runner, silent
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import Candidates
from edgecam_core.models.nms import nms
from edgecam_core.models.output_checks import check_candidates
from edgecam_core.models.plan import Plan, runner_options
from edgecam_core.models.preprocess import Placement, Preprocessor
from edgecam_core.models.selection import Selection
from edgecam_core.models.tracker import Tracker
from edgecam_core.types import Detections, Frame

# Greedy suppression is quadratic: only the best candidates take part (pytorch-ssd: 200 per class).
_MAX_CANDIDATES = 2000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A preprocessed image: the network's input (see :class:`InputSpec`), its placement and its capture time."""

    tensor: np.ndarray
    placement: Placement
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations of the stages of one batch, in seconds."""

    infer: float = 0.0
    decode: float = 0.0


class Detector:
    """Finds objects in images.

    :meth:`prepare` and :meth:`update` may be called from any thread; up to ``streams`` threads may detect at a time.
    ``labels[class_id]`` is the label of a detection. ``timings`` are those of the last call. ``warnings`` are the texts
    of ``RunnerOptions.degraded``. ``tuned``: it runs in the way measured to be fastest (see models/tuning.py).
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
        """Read and load the model; blocks from a tenth of a second (ONNX Runtime) to minutes (building an engine).

        Args:
            progress: called from this thread with the step in progress.
            streams: number of threads to detect at a time; the detector's ``streams`` has the number granted.

        Raises:
            SettingError, ModelError, MissingDependency: see :meth:`Plan.read` and :func:`open_runner`.
        """
        return cls.load(Plan.read(settings, progress), settings, progress, streams)

    @classmethod
    def load(
        cls, plan: Plan, settings: DetectorSettings, progress: Progress = silent, streams: int = 1, build: bool = True
    ) -> Detector:
        """As :meth:`open`, for a model that was read before.

        Raises:
            NotBuilt: an engine or a quantised model must be built, but ``build`` is False.
        """
        if settings.track:
            streams = 1  # a tracker needs the images in order
        warnings: list[str] = []
        options = replace(runner_options(plan, settings, progress), degraded=warnings.append, streams=streams)
        options = replace(options, build=build)
        model = dynamic_batch(plan.model, options) if settings.max_batch > 1 else plan.model
        detector = cls(plan, open_runner(model, settings.backend, options), settings)
        detector.warnings = warnings
        return detector

    def update(self, settings: DetectorSettings) -> None:
        """Use other thresholds, classes and regions from the next image on.

        Raises:
            SettingError: the model has no such class, or a region is invalid; nothing has changed then.
        """
        self._selection = Selection.make(settings, self.labels, self.family.has_background)

    def detect(self, image: Frame | np.ndarray) -> Detections:
        """Detect in one image: a Frame of any encoding, or (H, W, 3) uint8 BGR. Blocks for one inference.

        The detector stays usable after an error.

        Returns:
            Detections, best score first, boxes in pixels of the image; see :class:`Detections`.

        Raises:
            ImageError: the image is invalid or too large.
            InferenceError: the model failed on it.
        """
        return self.detect_batch([image])[0]

    def detect_batch(
        self, images: Sequence[Frame | np.ndarray], cameras: Sequence[str] | None = None
    ) -> list[Detections]:
        """As :meth:`detect`, for several images of any sizes, with as few inferences as ``max_batch`` allows.

        Args:
            cameras: the camera of each image, for per-camera regions and for tracking.
        """
        return self.detect_prepared([self.prepare(image) for image in images], cameras)

    def prepare(self, image: Frame | np.ndarray) -> Prepared:
        """Preprocess an image. Does not use the model: safe to run during the previous inference.

        Raises:
            ImageError: the image is invalid or too large.
        """
        frame = image if isinstance(image, Frame) else Frame.from_array(image, "bgr8")
        tensor, placement = self._preprocessor.prepare(frame)
        return Prepared(tensor.astype(self._dtype, copy=False), placement, frame.stamp_ns)

    def detect_prepared(self, images: Sequence[Prepared], cameras: Sequence[str] | None = None) -> list[Detections]:
        """As :meth:`detect_batch`, for prepared images."""
        cameras = cameras or [""] * len(images)
        found: dict[int, Detections] = {}
        by_shape: dict[tuple[int, ...], list[int]] = {}  # several shapes only if the network accepts any size
        for index, image in enumerate(images):
            by_shape.setdefault(image.tensor.shape, []).append(index)
        for indices in by_shape.values():
            for start in range(0, len(indices), self.max_batch):
                batch = indices[start : start + self.max_batch]
                detections = self._detect([images[index] for index in batch], [cameras[index] for index in batch])
                found |= dict(zip(batch, detections, strict=True))
        return [found[index] for index in range(len(images))]

    def _detect(self, images: Sequence[Prepared], cameras: Sequence[str]) -> list[Detections]:
        selection = self._selection
        started = time.perf_counter()
        batch = self._batch([image.tensor for image in images])
        extra = {
            name: values.astype(self.runner.inputs[name].dtype, copy=False)  # TensorRT 8 converts int64 to int32
            for name, values in self.family.extra_inputs(len(batch)).items()
        }
        outputs = self.runner.infer({self.family.spec.name: batch, **extra})
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
            raise InferenceError(f"the outputs of the model contradict its file ({shapes}): {error}") from error

    def _batch(self, tensors: list[np.ndarray]) -> np.ndarray:
        """Concatenate the images; pad the batch for a model with a fixed batch size."""
        if self._fixed_batch:
            tensors = tensors + tensors[:1] * (self._fixed_batch - len(tensors))
        return tensors[0] if len(tensors) == 1 else np.concatenate(tensors)

    def _choose(self, candidates: Candidates, placement: Placement, selection: Selection, camera: str) -> Detections:
        check_candidates(candidates, self.family.fractions, placement.size)
        boxes = placement.to_source(candidates.boxes, self.family.fractions)
        scores, classes = candidates.scores, candidates.classes
        valid = np.flatnonzero(_have_area(boxes))
        if len(valid) > _MAX_CANDIDATES:
            valid = valid[np.argsort(-scores[valid], kind="stable")[:_MAX_CANDIDATES]]
        boxes, scores, classes = boxes[valid], scores[valid], classes[valid]
        # Suppress before clipping, as pytorch-ssd and Ultralytics do: after clipping, two objects at the edge of the
        # image may look like one.
        clipped = placement.clip(boxes)
        inside = _have_area(clipped) & selection.inside(clipped, placement.width, placement.height, camera)
        if self.family.needs_nms or selection.agnostic:
            # A box outside the regions may suppress a worse one inside: both show the same object.
            limit = selection.max_detections if inside.all() else len(scores)
            nms_classes = np.zeros_like(classes) if selection.agnostic else classes
            kept = nms(boxes, scores, nms_classes, selection.nms_threshold, limit)
        else:
            kept = np.argsort(-scores, kind="stable")
        kept = kept[inside[kept]][: selection.max_detections]
        return Detections(clipped[kept], scores[kept], classes[kept].astype(np.int32), self.labels)

    def classes(self) -> list[tuple[int, str]]:
        """Number and label of every class the model can report, without background and unused columns."""
        unused = {0} if self.family.has_background else set()
        unused |= set(self.model.fact("unused", ()))
        return [(number, label) for number, label in enumerate(self.labels) if number not in unused]

    def _tracked(self, found: Detections, stamp_ns: int, selection: Selection, camera: str) -> Detections:
        if self._track_patience is None:
            return found
        tracker = self._trackers.setdefault(camera, Tracker(self._track_patience))
        return tracker.update(found, found.scores > selection.thresholds[found.class_ids], stamp_ns)

    def continue_from(self, other: Detector) -> None:
        """Take over the tracks of the detector that this one replaces, if it ran the same model."""
        if other.model.sha256 == self.model.sha256:
            self._trackers = other._trackers

    def close(self) -> None:
        """Free the model. Calling it twice is harmless."""
        self.runner.close()


def _have_area(boxes: np.ndarray) -> np.ndarray:
    """(N,) bool: which boxes are not empty; False for boxes with NaN."""
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
