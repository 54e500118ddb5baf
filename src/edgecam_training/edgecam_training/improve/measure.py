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

"""Compares two models on the same images: average precision by label, false alarms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.types import Detections

from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.statistics import ConfidenceInterval, Hits, compare, match

LOW = 0.05  # lowest score of detections used for AP
THRESHOLD = 0.5  # the detector's default
Progress = Callable[[str], None]


def detect(
    model: str, images: Sequence[LabelledImage], progress: Progress, precision: str = "auto"
) -> list[Detections]:
    """A model's detections in each image with a score of at least 0.05, for average precision; runs on the CPU."""
    settings = DetectorSettings(
        model=model, confidence_threshold=LOW, backend="onnxruntime", precision=precision, max_detections=100
    )
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
    """Label, score and box of each detection, for :func:`edgecam_training.improve.statistics.match`."""
    return [[(one.label, one.score, one.box) for one in detections] for detections in found]


def compare_field(
    old: Sequence[Detections],
    new: Sequence[Detections],
    truth: Sequence[LabelledImage],
    labels: Sequence[str],
    seed: int,
) -> tuple[dict[str, Any], ConfidenceInterval]:
    """Compare the detections of both models with the truth; returns facts for the report, and the difference in mAP."""
    hits = [(match(tuples(old), truth, label), match(tuples(new), truth, label)) for label in labels]
    rows = {label: _label_row(a, b, len(truth), seed) for label, (a, b) in zip(labels, hits, strict=True)}
    before, after, difference = compare([a for a, _ in hits], [b for _, b in hits], len(truth), seed=seed)
    facts = {"images": len(truth), "labels": rows, "old": str(before), "new": str(after), "difference": str(difference)}
    facts["difference_low"], facts["difference_high"] = difference.low, difference.high
    return facts, difference


def _label_row(old: Hits, new: Hits, images: int, seed: int = 0) -> dict[str, Any]:
    """AP of both models for one label and their difference, with intervals as text."""
    before, after, difference = compare([old], [new], images, seed=seed)
    return {
        "boxes": int(old.boxes.sum()),
        "old": before.value,
        "new": after.value,
        "old_interval": str(before),
        "new_interval": str(after),
        "difference": str(difference),
    }


def compare_old_set(
    found: Callable[[Sequence[LabelledImage]], tuple[list[Detections], list[Detections]]],
    images: Sequence[LabelledImage],
    labels: Sequence[str],
) -> tuple[dict[str, Any], dict[str, float], dict[str, float]]:
    """Both models on the old set: facts for the report, and the AP before and after by label.

    Args:
        found: the detections of the old and of the new model in images.
    """
    names = sorted({label for one in images for label in one.labels if label in labels})
    if not names:
        return {"images": 0, "labels": {}}, {}, {}
    old, new = found(images)
    rows = {
        label: _label_row(match(tuples(old), images, label), match(tuples(new), images, label), len(images))
        for label in names
    }
    before, after = ({label: float(row[key]) for label, row in rows.items()} for key in ("old", "new"))
    return {"images": len(images), "labels": rows}, before, after


def false_alarms(found: Sequence[Detections], truth: Sequence[LabelledImage], labels: Sequence[str]) -> float:
    """Wrong boxes of these labels per image at a score of 0.5, which hardly affect average precision."""
    visible = tuples([above_threshold(one) for one in found])
    wrong = sum(int((~match(visible, truth, label).hit).sum()) for label in labels)
    return wrong / max(len(truth), 1)


def above_threshold(found: Detections) -> Detections:
    keep = found.scores >= THRESHOLD
    return Detections(found.boxes[keep], found.scores[keep], found.class_ids[keep], found.labels)


def count_errors(found: Detections, truth: LabelledImage) -> int:
    """Number of missed and wrong boxes at the default threshold."""
    visible = tuples([above_threshold(found)])
    labels = {*truth.labels, *(label for label, _, _ in visible[0])}
    wrong = 0
    for label in labels:
        hits = match(visible, [truth], label)
        wrong += int((~hits.hit).sum() + hits.boxes.sum() - hits.hit.sum())
    return wrong
