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

"""Rotates boxes that were drawn on the stored image according to its EXIF orientation."""

from __future__ import annotations

import numpy as np

from edgecam_training.data.image_files import Header

KEEP, UPRIGHT, TURN, SCALE = "keep", "upright", "turn", "scale"
UNKNOWN, CONTRADICTION = "unknown", "contradiction"
_SAME_SHAPE = 0.01  # largest relative difference of two aspect ratios due to rounding


def compare(annotated: tuple[int, int], header: Header) -> str:
    """How to treat boxes of an annotation that states this (width, height); 0 x 0 if it states none.

    ``KEEP``: EXIF does not rotate the image. ``UPRIGHT``: EXIF rotates it and the boxes refer to the upright image.
    ``TURN``: the boxes refer to the image as stored. ``SCALE``: the boxes refer to a copy of another resolution.
    ``UNKNOWN``: EXIF rotates the image and the size fits both. ``CONTRADICTION``: the boxes refer to another image.
    """
    turned = header.orientation != 1
    if annotated == (0, 0):
        return UNKNOWN if turned else KEEP
    if header.stored == header.upright:
        same = annotated == header.stored
        return CONTRADICTION if not same and not _scaled(annotated, header.stored) else _same_sides(same, turned)
    for size, answer in ((header.upright, UPRIGHT), (header.stored, TURN)):
        if annotated == size:
            return answer
    return CONTRADICTION


def _same_sides(same: bool, turned: bool) -> str:
    if turned:
        return UNKNOWN if same else CONTRADICTION
    return KEEP if same else SCALE


def _scaled(annotated: tuple[int, int], real: tuple[int, int]) -> bool:
    return abs(annotated[0] * real[1] / (annotated[1] * real[0]) - 1) < _SAME_SHAPE if min(annotated) > 0 else False


def turn(boxes: np.ndarray, header: Header) -> np.ndarray:
    """Convert corners (N, 4) from pixels of the stored image to pixels of the upright image."""
    width, height = header.stored
    x1, y1, x2, y2 = boxes.T
    turned = {
        1: (x1, y1, x2, y2),
        2: (width - x2, y1, width - x1, y2),
        3: (width - x2, height - y2, width - x1, height - y1),
        4: (x1, height - y2, x2, height - y1),
        5: (y1, x1, y2, x2),
        6: (height - y2, x1, height - y1, x2),
        7: (height - y2, width - x2, height - y1, width - x1),
        8: (y1, width - x2, y2, width - x1),
    }
    return np.stack(turned[header.orientation], axis=1).astype(np.float32)
