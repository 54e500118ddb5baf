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

"""Detects boxes whose four numbers are in another order, or mean something else, than their format specifies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgecam_training.data.dataset import Sample
from edgecam_training.errors import DatasetError

_MIN_BOXES = 5  # fewer are no evidence
_MOST_WRONG = 0.25  # of the boxes; in correct data sets fewer are inverted or reach outside
_TOLERANCE = 0.01  # of the image's side

Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # (N,) each, as fractions of the image

CORNERS, SIZED, CENTRED = "x1 y1 x2 y2", "x y width height", "a centre and a size"
_STATED = {"coco": SIZED, "label-studio": SIZED, "yolo": CENTRED}  # the other layouts have corners

# Specified order -> actual order -> function from the corners as read to the correct corners.
_CONVERSIONS: dict[str, dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Columns]]] = {
    SIZED: {
        CORNERS: lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1),
        CENTRED: lambda x1, y1, x2, y2: ((3 * x1 - x2) / 2, (3 * y1 - y2) / 2, (x1 + x2) / 2, (y1 + y2) / 2),
    },
    CENTRED: {
        CORNERS: lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        SIZED: lambda x1, y1, x2, y2: ((x1 + x2) / 2, (y1 + y2) / 2, (3 * x2 - x1) / 2, (3 * y2 - y1) / 2),
    },
    CORNERS: {SIZED: lambda x1, y1, x2, y2: (x1, y1, x1 + x2, y1 + y2)},
}


def refuse_other_order(root: Path, samples: Sequence[Sample], layout: str) -> None:
    """Raise DatasetError if many boxes do not fit their images but all fit when read in another order.

    Args:
        samples: with the sizes of the images; boxes not yet swapped or clipped.
        layout: its name in ``loading.LAYOUTS``, which specifies the order.
    """
    sizes = np.array([(one.width, one.height) * 2 for one in samples for _ in one.boxes], np.float64).reshape(-1, 4)
    boxes = np.concatenate([one.boxes for one in samples] or [np.zeros((0, 4))])
    known = (sizes > 0).all(axis=1) & np.isfinite(boxes).all(axis=1)
    fractions = boxes[known] / sizes[known]
    wrong = int((~_fit(fractions)).sum())
    if len(fractions) < _MIN_BOXES or wrong <= _MOST_WRONG * len(fractions):
        return
    stated = _STATED.get(layout, CORNERS)
    for actual, convert in _CONVERSIONS[stated].items():
        if _fit(np.column_stack(convert(*fractions.T))).all():
            raise DatasetError(
                f"{root}: {wrong} of {len(fractions)} boxes are inverted or reach outside their images, but all would "
                f"fit if the annotations hold {actual} instead of {stated}; convert them"
            )


def _fit(boxes: np.ndarray) -> np.ndarray:
    """(N,) bool: positive width and height, and inside the image."""
    inside = (boxes >= -_TOLERANCE).all(axis=1) & (boxes <= 1 + _TOLERANCE).all(axis=1)
    return np.asarray(inside & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
