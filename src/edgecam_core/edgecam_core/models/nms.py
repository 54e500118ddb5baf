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

"""Non-maximum suppression: of boxes of one class that overlap, the best stays."""

from __future__ import annotations

import numpy as np


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one (4,) x1 y1 x2 y2 box with (N, 4) boxes, shape (N,); 0 where both are empty."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union = _area(box[None])[0] + _area(boxes) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)


def nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float, most: int) -> np.ndarray:
    """Class-wise greedy suppression.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in any unit.
        scores: (N,).
        classes: (N,) integers; boxes of different classes never suppress each other.
        threshold: a box is removed if its intersection over union with a better one is above this.
        most: stop after this many boxes.

    Returns:
        Indices of the boxes that stay, best score first; equal scores in order of index.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) < most:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        rivals = (classes[rest] == classes[best]) & (overlaps(boxes[best], boxes[rest]) > threshold)
        order = rest[~rivals]
    return np.array(kept, np.intp)
