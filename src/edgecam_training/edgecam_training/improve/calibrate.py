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

"""Calibrates new labels so that 0.5, the detector's default threshold, is their best threshold.

Heads are trained on a selection of rows with far more objects than an image has, so their scores are too high. The
threshold with the best F1 (C. van Rijsbergen: Information Retrieval, 1979; Z. Lipton, C. Elkan, B. Naryanaswamy:
Optimal Thresholding of Classifiers to Maximize F1 Measure, 2014) is determined by cross-validation with three folds, as
in J. Platt: Probabilistic Outputs for Support Vector Machines, 1999. Logits are shifted by this threshold and
compressed so that no detection falls below the score from which average precision counts: neither the order nor the
number of a label's detections changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecam_training.improve.field import LabelledImage, runs
from edgecam_training.improve.learn import Learned
from edgecam_training.improve.measure import LOW
from edgecam_training.improve.statistics import Hits

FOLDS = 3
LEAST_HITS = 3  # objects found in held-out folds; a label with fewer is not calibrated


def folds(images: Sequence[LabelledImage], gap_seconds: float, count: int = FOLDS) -> list[list[int]]:
    """Indices of the images by fold. A run of neighbouring frames stays in one fold; labels are spread over all.

    Returns at most as many folds as there are runs, and none if there is only one run.
    """
    index = {id(one): number for number, one in enumerate(images)}
    parts = runs(images, gap_seconds)
    count = min(count, len(parts))
    if count < 2:
        return []
    members: list[list[int]] = [[] for _ in range(count)]
    boxes = [Counter[str]() for _ in members]
    # Runs with rare labels first: later runs even out the folds.
    seen = Counter(label for one in images for label in one.labels)
    for run in sorted(
        parts, key=lambda run: min((seen[label] for one in run for label in one.labels), default=1 << 30)
    ):
        labels = Counter(label for one in run for label in one.labels)
        best = min(
            range(count),
            key=lambda i: (sum(boxes[i][label] / seen[label] for label in labels), len(members[i])),
        )
        members[best] += [index[id(one)] for one in run]
        boxes[best] += labels
    return [sorted(fold) for fold in members if fold]


def logit(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def shift(scores: np.ndarray, hits: Hits) -> float | None:
    """The value to add to a label's logits so that its best F1 is at a score of 0.5; None if too few objects are found.

    Args:
        scores: (N,) of the detections in ``hits``, descending.
    """
    if hits.hit.sum() < LEAST_HITS:
        return None
    logits = logit(scores)
    # F1 = 2 * hits / (detections + objects), after each detection; of equal values the first one is used.
    f1 = 2 * np.cumsum(hits.hit) / (np.arange(1, len(logits) + 1) + hits.boxes.sum())
    last = int(f1.argmax())
    if last + 1 == len(logits):  # all detections improve F1: no reason to lower the scores
        return max(-float(logits[last]), 0.0)
    return -float(logits[last] + logits[last + 1]) / 2


def apply_shifts(learned: Learned, shifts: Mapping[str, float]) -> Learned:
    """The heads with these labels' logits shifted and compressed."""
    weights = [one.copy() for one in learned.weights]
    biases = [one.copy() for one in learned.biases]
    for label, value in shifts.items():
        slope = slope_of(value)
        column = learned.labels.index(label)
        for weight, bias in zip(weights, biases, strict=True):
            weight[:, column] *= slope
            bias[:, column] = slope * (bias[:, column] + value)
    return replace(learned, weights=tuple(weights), biases=tuple(biases))


def slope_of(value: float) -> float:
    """The factor for logits shifted by ``value`` that keeps a score of LOW unchanged; 1 if the logits are raised."""
    lowest = float(logit(np.array(LOW)))
    return lowest / (lowest + value) if value < 0 else 1.0
