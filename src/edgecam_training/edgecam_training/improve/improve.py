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

"""Runs one improvement, from reviewed frames to a judged model; resumable."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import open_family
from edgecam_core.models.preprocess import Preprocessor
from edgecam_core.models.store import ModelStore, Version
from edgecam_core.models.zoo import locate
from edgecam_core.types import Detections, Frame

from edgecam_core import cache
from edgecam_training.errors import DatasetError
from edgecam_training.improve import field, report
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.judge import Verdict, judge, lacking
from edgecam_training.improve.learn import Learned, Learner
from edgecam_training.improve.statistics import Hits, Interval, compare, match

_LOW = 0.05  # scores from here on count for AP
_SHOWN = 0.5
_PARITY = 1e-4
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """``collection``: reviewed frames; ``model``: the live one, as the detector's parameter of that name.

    ``old_set`` are images the live model handled well: they check that this is kept and, as ``replay``, keep it while
    known labels are corrected; without it known labels do not change. ``max_loss`` is the largest drop (0..1) of
    a label on the old set, ``max_false_alarms`` the number of wrong boxes of the learned labels per image that the
    new model may have above the live one. ``output`` is the folder of this run; what is finished there is not done
    again.
    """

    collection: Path
    model: str
    output: Path
    old_set: tuple[LabelledImage, ...] = ()
    replay: tuple[LabelledImage, ...] = ()
    max_loss: float = 0.02
    max_false_alarms: float = 0.5
    test_share: float = 0.3
    gap_seconds: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """``model`` is the new ONNX file, ``facts`` what report.json holds."""

    model: Path
    verdict: Verdict
    facts: dict[str, Any]


def improve(request: Request, progress: Progress) -> Outcome:
    """Blocks for minutes on a CPU.

    Raises:
        CollectionError, DatasetError: nothing reviewed, or nothing in it that can be learned.
        ModelError: the live model cannot be improved by its heads.
        CacheError: the output folder cannot be written.
    """
    began = time.monotonic()
    with cache.explained(request.output):
        request.output.mkdir(parents=True, exist_ok=True)
    model = ModelFile.read(locate(request.model))
    labels = _labels(model)
    images = field.reviewed(request.collection)
    if not images:
        raise DatasetError(f"no frame of {request.collection} is reviewed; label some at /label first")
    train, test = field.split(images, request.test_share, request.gap_seconds)
    seen = Counter(label for one in images for label in one.labels)
    learned = [label for label in sorted(seen) if label not in labels or request.replay]
    if not learned:
        what = f"the reviewed frames hold only labels that the model has ({', '.join(sorted(seen)) or 'none'})"
        raise DatasetError(f"{what}; set --replay so that they can be corrected without forgetting the others")
    progress(f"{len(images)} reviewed frames: {len(train)} to learn from, {len(test)} to test with")
    missing = lacking(train, test, [label for label in learned if label not in labels] or learned)
    made = {"data": field.fingerprint(images), "parent": model.sha256, "seed": request.seed}
    made["replay"] = field.fingerprint(request.replay) if request.replay else ""
    path = request.output / "model.onnx"
    facts: dict[str, Any] = {
        "made": made,
        "settings": {
            "test_share": request.test_share,
            "gap_seconds": request.gap_seconds,
            "max_loss": request.max_loss,
            "max_false_alarms": request.max_false_alarms,
        },
        "machine": platform.platform(),
        "labels": {"known": list(labels), "learned": learned, "reviewed_boxes": dict(seen)},
    }
    key = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
    if not _is_made(path, key):
        heads = ClassHeads(model, labels)
        network = _Network(model, heads)
        taught = _learn(heads, network, train, request.replay, learned, progress)
        facts["learning"] = {"alike": taught.alike, "images_with_objects": taught.positives}
        metadata = {
            "edgecam.parent_sha256": model.sha256,
            "edgecam.data_sha256": str(made["data"]),
            "edgecam.made_by": key,
        }
        data = heads.rebuilt(taught.labels, taught.weights, taught.biases, metadata)
        cache.write(path, data)
        _check_parity(network, path, taught, train[0])
    progress("testing both models on frames that were not trained on")
    old_found, new_found = (detect(each, test, progress) for each in (str(model.path), str(path)))
    facts["field"], difference = _compared(old_found, new_found, test, sorted(seen), request.seed)
    alarms = {name: false_alarms(found, test, learned) for name, found in (("old", old_found), ("new", new_found))}
    facts["field"]["false_alarms"] = alarms
    facts["old_set"], before, after = _guarded(model, path, request.old_set, labels, progress)
    verdict = judge(
        missing, difference, before, after, request.max_loss, (alarms["old"], alarms["new"]), request.max_false_alarms
    )
    facts["verdict"] = asdict(verdict)
    facts["seconds"] = round(time.monotonic() - began, 1)
    order = np.argsort([-_wrong(found, truth) for found, truth in zip(new_found, test, strict=True)], kind="stable")
    report.write_json(request.output / "report.json", facts)
    shown = [[_shown(one) for one in found] for found in (old_found, new_found)]
    report.write_html(request.output / "report.html", facts, test, shown[0], shown[1], order.tolist())
    return Outcome(path, verdict, facts)


def store(outcome: Outcome, request: Request, name: str, models: ModelStore) -> Version:
    """Put the model and its reports into the store. A refused one is stored too, with its verdict."""
    reports = [request.output / "report.json", request.output / "report.html"]
    note = "passed" if outcome.verdict.passed else "refused: " + outcome.verdict.reasons[0]
    return models.add(outcome.model, name, reports, note=note, passed=outcome.verdict.passed, **outcome.facts["made"])


def _labels(model: ModelFile) -> list[str]:
    return [str(label) for label in model.fact("labels", [])]


def _is_made(path: Path, key: str) -> bool:
    try:
        return bool(ModelFile.read(path).metadata.get("edgecam.made_by") == key)
    except Exception:  # not there, or not whole
        return False


class _Network:
    """The live network with what its heads see."""

    def __init__(self, model: ModelFile, heads: ClassHeads) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(heads.extractor(), providers=["CPUExecutionProvider"])
        spec = open_family(model).spec
        self._input = spec.name
        self._preprocessor = Preprocessor(spec)

    def __call__(self, frame: Frame) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """(rows, classes) scores, (rows, 4) boxes in pixels of the frame, (1, F, H, W) features of each head."""
        tensor, placement = self._preprocessor.prepare(frame)
        scores, boxes, *features = self._session.run(None, {self._input: tensor})
        return scores[0], placement.to_source(boxes[0], fractions=True), features


def _learn(
    heads: ClassHeads,
    network: _Network,
    train: Sequence[LabelledImage],
    replay: Sequence[LabelledImage],
    learned: Sequence[str],
    progress: Progress,
) -> Learned:
    learner = Learner(heads, network, learned, progress)
    for number, image in enumerate(train, start=1):
        progress(f"looking at frame {number} of {len(train)}")
        learner.add(image, learned)  # in a reviewed frame every object is labelled
    known = [label for label in learned if label in heads.labels]
    for number, image in enumerate(replay, start=1):
        progress(f"looking at replay image {number} of {len(replay)}")
        learner.add(image, known)  # the presence of new labels is unknown here
    first = learner.learn()
    for number, image in enumerate(train, start=1):
        progress(f"looking for mistakes in frame {number} of {len(train)}")
        learner.add(image, learned, first)
    return learner.learn()


def _check_parity(network: _Network, path: Path, taught: Learned, image: LabelledImage) -> None:
    """The exported graph returns the same scores as the learned heads on the same features.

    Raises:
        DatasetError: it does not; the file is removed.
    """
    frame = Frame.from_array(image.pixels(), "bgr8")
    _, _, features = network(frame)
    rows = []
    for map_, weight, bias in zip(features, taught.weights, taught.biases, strict=True):
        cells = map_[0].reshape(map_.shape[1], -1).T
        rows.append((np.einsum("nf,acf->nac", cells, weight) + bias).reshape(-1, len(taught.labels)))
    wanted = 1 / (1 + np.exp(-np.clip(np.concatenate(rows), -80, 80)))
    new = ModelFile.read(path)
    got, _, _ = _Network(new, ClassHeads(new, taught.labels))(frame)
    worst = float(np.abs(got - wanted).max())
    if worst > _PARITY:
        path.unlink()
        raise DatasetError(
            f"the exported model's scores differ by {worst:.2g} from the learned ones; please report this"
        )


def detect(model: str, images: Sequence[LabelledImage], progress: Progress) -> list[Detections]:
    """What a model finds in each image from a score of 0.05 on, as average precision needs it; on the CPU."""
    settings = DetectorSettings(model=model, confidence_threshold=_LOW, backend="onnxruntime", max_detections=100)
    detector = Detector.open(settings)
    try:
        found = []
        for number, image in enumerate(images, start=1):
            progress(f"{Path(model).name}: image {number} of {len(images)}")
            found.append(detector.detect(image.pixels()))
        return found
    finally:
        detector.runner.close()


def tuples(found: Sequence[Detections]) -> list[list[tuple[str, float, tuple[float, ...]]]]:
    """Label, score and box of each detection, as :func:`edgecam_training.improve.statistics.match` takes them."""
    return [[(one.label, one.score, one.box) for one in detections] for detections in found]


def _compared(
    old: Sequence[Detections],
    new: Sequence[Detections],
    truth: Sequence[LabelledImage],
    labels: Sequence[str],
    seed: int,
) -> tuple[dict[str, Any], Interval]:
    hits = [(match(tuples(old), truth, label), match(tuples(new), truth, label)) for label in labels]
    rows = {label: _label_row(a, b, len(truth), seed) for label, (a, b) in zip(labels, hits, strict=True)}
    before, after, difference = compare([a for a, _ in hits], [b for _, b in hits], len(truth), seed=seed)
    facts = {"images": len(truth), "labels": rows, "old": str(before), "new": str(after), "difference": str(difference)}
    facts["difference_low"], facts["difference_high"] = difference.low, difference.high
    return facts, difference


def _label_row(old: Hits, new: Hits, images: int, seed: int = 0) -> dict[str, Any]:
    """AP of both models for one label and the difference, the intervals as text."""
    before, after, difference = compare([old], [new], images, seed=seed)
    return {
        "boxes": int(old.boxes.sum()),
        "old": before.value,
        "new": after.value,
        "old_interval": str(before),
        "new_interval": str(after),
        "difference": str(difference),
    }


def _guarded(
    model: ModelFile, path: Path, images: Sequence[LabelledImage], labels: Sequence[str], progress: Progress
) -> tuple[dict[str, Any], dict[str, float], dict[str, float]]:
    """Both models on the old set: facts, AP before and AP after by label."""
    names = sorted({label for one in images for label in one.labels if label in labels})
    if not names:
        return {"images": 0, "labels": {}}, {}, {}
    old, new = (detect(each, images, progress) for each in (str(model.path), str(path)))
    rows = {
        label: _label_row(match(tuples(old), images, label), match(tuples(new), images, label), len(images))
        for label in names
    }
    before, after = ({label: float(row[key]) for label, row in rows.items()} for key in ("old", "new"))
    return {"images": len(images), "labels": rows}, before, after


def false_alarms(found: Sequence[Detections], truth: Sequence[LabelledImage], labels: Sequence[str]) -> float:
    """Boxes of these labels from a score of 0.5 on that hit nothing, per image; average precision hardly sees them."""
    shown = tuples([_shown(one) for one in found])
    wrong = sum(int((~match(shown, truth, label).hit).sum()) for label in labels)
    return wrong / max(len(truth), 1)


def _shown(found: Detections) -> Detections:
    keep = found.scores >= _SHOWN
    return Detections(found.boxes[keep], found.scores[keep], found.class_ids[keep], found.labels)


def _wrong(found: Detections, truth: LabelledImage) -> int:
    """Boxes missed and boxes too many at the threshold people see."""
    shown = tuples([_shown(found)])
    labels = {*truth.labels, *(label for label, _, _ in shown[0])}
    wrong = 0
    for label in labels:
        hits = match(shown, [truth], label)
        wrong += int((~hits.hit).sum() + hits.boxes.sum() - hits.hit.sum())
    return wrong
