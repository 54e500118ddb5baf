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

"""Converts rotated boxes and outlines of annotation tools to upright boxes, which training and metrics need."""

from __future__ import annotations

import math
from collections.abc import Sequence


def upright(corners: list[float], degrees: float, pivot: tuple[float, float]) -> list[float]:
    """The upright box (x1, y1, x2, y2) around a box turned clockwise, in pixels, around ``pivot``."""
    x1, y1, x2, y2 = corners
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = [(x - pivot[0], y - pivot[1]) for x in (x1, x2) for y in (y1, y2)]
    xs, ys = zip(*((pivot[0] + dx * cos - dy * sin, pivot[1] + dx * sin + dy * cos) for dx, dy in offsets), strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def around(xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    """The upright box (x1, y1, x2, y2) around an outline's corners.

    Raises:
        ValueError: fewer than three corners, or not as many xs as ys.
    """
    if len(xs) != len(ys) or len(xs) < 3:
        raise ValueError(f"an outline has at least three corners, not {len(xs)} x and {len(ys)} y")
    return [min(xs), min(ys), max(xs), max(ys)]
