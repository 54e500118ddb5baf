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

"""Non-maximum suppression: keeps the best of overlapping boxes of a class."""

from __future__ import annotations

import numpy as np


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of one box (4,) with boxes (N, 4), x1 y1 x2 y2; 0 if both are empty."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=1)
    union = _area(box[None])[0] + _area(boxes) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)


def nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float, limit: int) -> np.ndarray:
    """Class-wise greedy suppression.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in any unit.
        scores: (N,).
        classes: (N,) integers; boxes of different classes never suppress each other.
        threshold: a box is removed if its intersection over union with a better one is above this.
        limit: stop after this number of boxes.

    Returns:
        Indices of the kept boxes, best score first; equal scores in order of index.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) < limit:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        suppressed = (classes[rest] == classes[best]) & (overlaps(boxes[best], boxes[rest]) > threshold)
        order = rest[~suppressed]
    return np.array(kept, np.intp)
