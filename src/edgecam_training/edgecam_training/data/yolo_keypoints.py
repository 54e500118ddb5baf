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

"""Recognises keypoints in YOLO label files whose configuration does not declare them with ``kpt_shape``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecam_training.errors import DatasetError

_MIN_LINES = 5  # fewer lines prove nothing


class Outlines:
    """Examines lines that are read as polygons, which would be wrong for boxes with keypoints."""

    def __init__(self) -> None:
        self._lengths: set[int] = set()
        self._lines = self._fitting = 0

    def add(self, values: Sequence[float]) -> None:
        self._lengths.add(len(values))
        self._lines += 1
        self._fitting += _is_box_with_points(values)

    def refuse_keypoints(self, file: Path) -> None:
        """Raise DatasetError if nearly every line looks like a box with keypoints, which may reach outside it."""
        if self._lines >= _MIN_LINES and len(self._lengths) == 1 and self._fitting >= 0.9 * self._lines:
            raise DatasetError(
                f"{file}: {self._fitting} of {self._lines} lines with {1 + self._lengths.pop()} numbers look like a "
                "box with keypoints, not like polygons; add kpt_shape, e.g. kpt_shape: [17, 3], or delete the keypoints"
            )


def _is_box_with_points(values: Sequence[float]) -> bool:
    """Whether the first four numbers are a box that holds all other points; an invisible point is 0 0."""
    x, y, width, height = values[:4]
    if len(values) == 8 and all(abs(values[i] + values[i + 4] - values[i + 2] - values[i + 6]) < 0.01 for i in (0, 1)):
        return False  # the corners of a rotated box
    for step in (2, 3):
        points = [values[start : start + step] for start in range(4, len(values), step)]
        if len(points[-1]) == step and all(
            tuple(point[:2]) == (0, 0)
            or (abs(point[0] - x) <= width / 2 + 0.01 and abs(point[1] - y) <= height / 2 + 0.01)
            for point in points
        ):
            return True
    return False
