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

"""Average precision of two models on the same images, with confidence intervals by the bootstrap over images.

B. Efron: Bootstrap Methods: Another Look at the Jackknife (1979). Images are resampled, not boxes: the boxes of an
image are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from edgecam_core.models.nms import overlaps

from edgecam_training.improve.field import LabelledImage

IOU = 0.5
ROUNDS = 1000


@dataclass(frozen=True)
class Hits:
    """One class of one model: image and hit of each detection, by descending score, and the number of boxes per
    image."""

    images: np.ndarray  # (D,) int
    hit: np.ndarray  # (D,) bool
    boxes: np.ndarray  # (images,) int


@dataclass(frozen=True)
class ConfidenceInterval:
    """A value with its 95 % interval; NaN without data."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def match(
    found: Sequence[Sequence[tuple[str, float, tuple[float, ...]]]], truth: Sequence[LabelledImage], label: str
) -> Hits:
    """Match greedily at IoU 0.5 as in Pascal VOC: by descending score, each box once. ``found``: label, score, box."""
    rows = [
        (score, number, box)
        for number, detections in enumerate(found)
        for name, score, box in detections
        if name == label
    ]
    rows.sort(key=lambda row: -row[0])
    boxes = [one.boxes[[name == label for name in one.labels]] for one in truth]
    free = [np.ones(len(one), bool) for one in boxes]
    hit = np.zeros(len(rows), bool)
    for index, (_, number, box) in enumerate(rows):
        if len(boxes[number]) == 0:
            continue
        iou = np.where(free[number], overlaps(np.array(box), boxes[number]), 0.0)
        best = int(iou.argmax())
        if iou[best] >= IOU:
            hit[index], free[number][best] = True, False
    return Hits(np.array([row[1] for row in rows], int), hit, np.array([len(one) for one in boxes]))


def average_precision(hits: Hits, times: np.ndarray) -> float:
    """Area under the precision envelope, with each image counted ``times``; NaN without boxes."""
    total = float((hits.boxes * times).sum())
    if total == 0:
        return float("nan")
    weight = times[hits.images].astype(float)
    true = np.cumsum(weight * hits.hit)
    seen = np.cumsum(weight)
    keep = seen > 0
    recall, precision = true[keep] / total, true[keep] / seen[keep]
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def compare(
    old: Sequence[Hits], new: Sequence[Hits], images: int, rounds: int = ROUNDS, seed: int = 0
) -> tuple[ConfidenceInterval, ConfidenceInterval, ConfidenceInterval]:
    """Mean AP over the classes (one Hits each) of both models and their difference, with 95 % intervals.

    Both models are evaluated on the same resampled images, which reduces the variance of the difference.
    """
    rng = np.random.default_rng(seed)
    ones = np.ones(images, int)

    def means(times: np.ndarray) -> tuple[float, float]:
        pairs = [(average_precision(a, times), average_precision(b, times)) for a, b in zip(old, new, strict=True)]
        known = [pair for pair in pairs if not np.isnan(pair[0])]
        if not known:
            return float("nan"), float("nan")
        return float(np.mean([a for a, _ in known])), float(np.mean([b for _, b in known]))

    before, after = means(ones)
    drawn = np.array([means(np.bincount(rng.integers(0, images, images), minlength=images)) for _ in range(rounds)])
    drawn = drawn[~np.isnan(drawn).any(axis=1)]

    def interval(value: float, samples: np.ndarray) -> ConfidenceInterval:
        if len(samples) == 0:
            return ConfidenceInterval(value, float("nan"), float("nan"))
        low, high = np.percentile(samples, [2.5, 97.5])
        return ConfidenceInterval(value, float(low), float(high))

    difference = drawn[:, 1] - drawn[:, 0]
    return (
        interval(before, drawn[:, 0]),
        interval(after, drawn[:, 1]),
        interval(after - before, difference),
    )
