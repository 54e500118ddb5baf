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

"""Evaluates a model file on a data set: detections per image, metrics, table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from edgecam_core.models.detector import Detector

from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.errors import DatasetError
from edgecam_training.evaluate.metrics import Found, GroundTruth, Scores, mean, score

_SHOWN = 0.5  # a detection above this score counts as a false alarm


@dataclass(frozen=True)
class Evaluation:
    """``found[i]`` belongs to ``samples[i]``; ``seconds`` is the detector's time per image, without decoding.

    ``seconds_scoring`` is the time for the metrics. ``false_alarms`` counts detections above 0.5 in images without
    boxes; ``empty`` is the number of such images.
    """

    scores: Scores
    found: tuple[Found, ...]
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    seconds: np.ndarray
    broken: int
    false_alarms: int
    empty: int
    seconds_scoring: float = 0.0


def evaluate(
    detector: Detector,
    dataset: Dataset,
    rename: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Detect in every image, one by one, from file to boxes.

    Args:
        rename: maps classes of the data set to labels of the model that differ. Comparison ignores case.

    Raises:
        DatasetError: the model lacks a class of the data set, or no image can be read.
    """
    table = _columns(detector, dataset.classes, rename or {})
    found, samples, seconds, broken = [], [], [], 0
    for number, sample in enumerate(dataset.samples, start=1):
        pixels = read_image(sample.path)
        if pixels is None:
            broken += 1
            continue
        begin = time.perf_counter()
        seen = detector.detect(pixels)
        seconds.append(time.perf_counter() - begin)
        classes = table[seen.class_ids]
        mine = classes >= 0
        found.append(Found(seen.boxes[mine], seen.scores[mine], classes[mine]))
        samples.append(sample)
        if progress:
            progress(number, len(dataset.samples))
    if not samples:
        raise DatasetError(f"{dataset.root}: none of {len(dataset.samples)} images can be read")
    begin = time.perf_counter()
    truth = [GroundTruth(sample.boxes, sample.labels, sample.difficult, sample.crowd) for sample in samples]
    empty = [seen for seen, sample in zip(found, samples, strict=True) if not len(sample.labels)]
    alarms = sum(int((seen.scores > _SHOWN).sum()) for seen in empty)
    scores = score(found, truth, len(dataset.classes))
    return Evaluation(
        scores, tuple(found), tuple(samples), dataset.classes, np.array(seconds), broken, alarms, len(empty),
        time.perf_counter() - begin,
    )  # fmt: skip


def _columns(detector: Detector, classes: Sequence[str], rename: dict[str, str]) -> np.ndarray:
    """(columns,) the data set's class for each column of the model, -1 for none."""
    labels = {label.casefold(): number for number, label in detector.classes()}
    table = np.full(len(detector.labels), -1, np.int64)
    renamed = [rename.get(name, name).casefold() for name in classes]
    missing = [name for name, label in zip(classes, renamed, strict=True) if label not in labels]
    if missing or set(rename) - set(classes):
        unknown = ", ".join(f"'{name}'" for name in missing or sorted(set(rename) - set(classes)))
        where = "the model, which has " + ", ".join(list(labels)[:20]) if missing else "the data set"
        remedy = f"use --rename '{missing[0]}=its name'" if missing else "correct --rename"
        raise DatasetError(f"not in {where}: {unknown}; {remedy}")
    for number, label in enumerate(renamed):
        table[labels[label]] = number
    return table


def text_table(result: Evaluation) -> str:
    """Results per class and their mean, as Markdown."""

    def cell(value: float) -> str:
        return "no data" if np.isnan(value) else f"{value:.3f}"

    scores = result.scores
    lines = ["| class | boxes | VOC AP@0.5 | VOC07 | COCO AP |", "|---|---|---|---|---|"]
    for number, name in enumerate(result.classes):
        values = (scores.voc[number], scores.voc07[number], scores.coco[number])
        lines.append(f"| {name} | {scores.boxes[number]} | " + " | ".join(cell(value) for value in values) + " |")

    lines.append(
        f"| **mean** | {scores.boxes.sum()} | {cell(scores.map50)} | {cell(mean(scores.voc07))} | {cell(scores.map)} |"
    )
    if result.empty:
        lines.append(f"\n{result.false_alarms} false alarms above {_SHOWN} in {result.empty} images without a box.")
    if result.broken:
        lines.append(f"\n{result.broken} images could not be read and are not included.")
    return "\n".join(lines)


def as_dict(result: Evaluation) -> dict[str, object]:
    """For JSON; NaN becomes None."""

    def number(value: float) -> float | None:
        return None if np.isnan(value) else round(float(value), 6)

    scores = result.scores
    return {
        "images": len(result.samples),
        "map50": number(scores.map50),
        "map": number(scores.map),
        "classes": {
            name: {"boxes": int(scores.boxes[i]), "ap50": number(scores.voc[i]), "ap": number(scores.coco[i])}
            for i, name in enumerate(result.classes)
        },
        "false_alarms": result.false_alarms,
        "images_without_boxes": result.empty,
        "broken": result.broken,
        "milliseconds_median": round(float(np.median(result.seconds)) * 1000, 3),
    }
