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

"""Calibrates new labels: a score of 0.5, from which the detector reports by default, shall be the best threshold.

Heads are learned from a selection of rows that holds far more objects than an image does, so their scores are too high.
The threshold with the best F1 (C. van Rijsbergen: Information Retrieval, 1979; Z. Lipton, C. Elkan, B. Naryanaswamy:
Optimal Thresholding of Classifiers to Maximize F1 Measure, 2014) is looked for in detections of models that had no part
of those frames in their training, three folds as J. Platt has them for the same reason (Probabilistic Outputs for
Support Vector Machines, 1999). Logits are shifted by it, and those above the score that average precision counts from
are compressed so far that none falls below that: neither the order nor the number of a label's detections changes.
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
LEAST_HITS = 3  # objects found in held-out folds; with fewer a label keeps its scores


def folds(images: Sequence[LabelledImage], gap_seconds: float, count: int = FOLDS) -> list[list[int]]:
    """Indices of the images by fold; a run of neighbouring frames stays together, every label is spread.

    Fewer folds where there are fewer runs; none with a single run.
    """
    index = {id(one): number for number, one in enumerate(images)}
    parts = runs(images, gap_seconds)
    count = min(count, len(parts))
    if count < 2:
        return []
    made: list[list[int]] = [[] for _ in range(count)]
    boxes = [Counter[str]() for _ in made]
    # Rare labels first: later runs fill up what is uneven.
    seen = Counter(label for one in images for label in one.labels)
    for run in sorted(
        parts, key=lambda run: min((seen[label] for one in run for label in one.labels), default=1 << 30)
    ):
        labels = Counter(label for one in run for label in one.labels)
        best = min(
            range(count), key=lambda fold: (sum(boxes[fold][label] / seen[label] for label in labels), len(made[fold]))
        )
        made[best] += [index[id(one)] for one in run]
        boxes[best] += labels
    return [sorted(fold) for fold in made if fold]


def logit(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def shift(scores: np.ndarray, hits: Hits) -> float | None:
    """What to add to a label's logits so that its best F1 lies at a score of 0.5; None with too few objects found.

    Args:
        scores: (N,) of the detections in ``hits``, falling.
    """
    if hits.hit.sum() < LEAST_HITS:
        return None
    logits = logit(scores)
    # F1 = 2 * hits / (detections + objects), after each detection; of equal ones the shortest list is the best.
    f1 = 2 * np.cumsum(hits.hit) / (np.arange(1, len(logits) + 1) + hits.boxes.sum())
    last = int(f1.argmax())
    if last + 1 == len(logits):  # all are worth showing: no reason to lower them
        return max(-float(logits[last]), 0.0)
    return -float(logits[last] + logits[last + 1]) / 2


def applied(learned: Learned, shifts: Mapping[str, float]) -> Learned:
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
    """The factor for logits shifted by ``value``: a score of LOW stays where it was; 1 where they are raised."""
    lowest = float(logit(np.array(LOW)))
    return lowest / (lowest + value) if value < 0 else 1.0
