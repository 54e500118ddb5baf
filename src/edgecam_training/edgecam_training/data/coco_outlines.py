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

"""Outlines of COCO annotations: polygons and run-length masks, compressed or not, and the boxes around them."""

from __future__ import annotations

from typing import Any

import numpy as np

Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels


def outline_box(outline: object, size: tuple[int, int]) -> Box | None:
    """The box around an outline; None if it holds no area that can be read.

    Args:
        size: width and height of the image, 0 x 0 if unknown; a mask must have the same.
    """
    try:
        if isinstance(outline, dict):
            return _mask_box(outline, size)
        points = [float(value) for polygon in outline or () for value in polygon]  # type: ignore[attr-defined]
        return (min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])) if len(points) > 5 else None
    except (TypeError, ValueError, KeyError, IndexError):
        return None


def apart(outline: object, box: Box) -> bool:
    """Whether polygons lie wholly outside a box: one of the two is wrong."""
    if not isinstance(outline, list):
        return False
    try:
        axes = [[value for polygon in outline for value in polygon[axis::2]] for axis in (0, 1)]
        return any(
            min(values) > max(box[axis::2]) or max(values) < min(box[axis::2])
            for axis, values in enumerate(axes)
            if values
        )
    except TypeError:
        return False


def _mask_box(mask: dict[str, Any], size: tuple[int, int]) -> Box | None:
    """The box around a run-length mask, compressed or not; None if it is empty or not of the image's size."""
    height, width = map(int, mask["size"])
    if size not in ((width, height), (0, 0)):
        return None
    counts = mask["counts"] if isinstance(mask["counts"], list) else _run_lengths(str(mask["counts"]))
    edges = np.cumsum([0, *counts])
    if min(counts, default=0) < 0 or edges[-1] != height * width:
        return None
    inside = [(first, last - 1) for first, last in zip(edges[1::2], edges[2::2], strict=False) if last > first]
    if not inside:
        return None
    first, last = np.array(inside).T
    whole = (first // height != last // height).any()  # a run that continues in the next column touches both ends
    top, bottom = (0, height) if whole else ((first % height).min(), (last % height).max() + 1)
    return float(first[0] // height), float(top), float(last[-1] // height + 1), float(bottom)


def _run_lengths(coded: str) -> list[int]:
    """Decode COCO's compressed counts: six bits per character, lowest first; differences from the third count on."""
    counts: list[int] = []
    value = shift = 0
    for code in (ord(character) - 48 for character in coded):
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        value -= (1 << shift) * bool(code & 16)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
