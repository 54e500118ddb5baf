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

"""Parses polygons and lines on the image: the parameters ``regions``, ``zones`` and ``lines``.

A shape is ``name: x,y x,y x,y``; x and y are fractions of the image, with 0,0 at its upper left corner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edgecam_core.errors import SettingError

_NAME = re.compile(r"[\w-]{1,60}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
POLYGON = "three or more points 'x,y', fractions of the image, like '0,0 0.5,0 0.5,1 0,1'"
SEGMENT = "two points 'x,y', fractions of the image, like '0.2,0.9 0.8,0.9'"
LEFT_TO_RIGHT, RIGHT_TO_LEFT = "left-to-right", "right-to-left"


@dataclass(frozen=True, eq=False)
class Shape:
    """A polygon or a line. ``name`` is empty for a region; ``camera`` is empty if the shape is for every camera.

    ``points`` is (K, 2) float32, x y as fractions of the image: K >= 3 for a polygon, 2 for a line.
    """

    name: str
    camera: str
    points: np.ndarray

    def distance(self, x: float, y: float) -> float:
        """Signed distance of a point, as a fraction of the image.

        For a polygon: positive inside, negative outside. For a line: positive to the right, negative to the left, as
        seen from its first point to its second.
        """
        if len(self.points) > 2:
            return float(cv2.pointPolygonTest(self.points, (x, y), True))
        (ax, ay), (bx, by) = self.points.tolist()
        return ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / float(np.hypot(bx - ax, by - ay))

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies in a polygon or on its edge."""
        return cv2.pointPolygonTest(self.points, (x, y), False) >= 0

    def text(self) -> str:
        """The shape as a parameter value; parsing it gives the same shape."""
        path = "/".join(part for part in (self.camera, self.name) if part)
        points = " ".join(f"{x:.6g},{y:.6g}" for x, y in self.points.tolist())
        return f"{path}: {points}" if path else points


def parse_points(setting: str, text: str, points: str, *, line: bool = False) -> np.ndarray:
    """Parse ``"x,y x,y ..."`` into (K, 2) float32. ``text`` is the whole value, for the error.

    Raises:
        SettingError: a point is not a pair of numbers or lies outside the image, there are too few points, or they
            enclose no area (for a line: coincide).
    """
    syntax = SEGMENT if line else POLYGON
    pairs = [point.split(",") for point in points.split()]
    if not all(len(pair) == 2 and all(map(_NUMBER.fullmatch, pair)) for pair in pairs):
        raise SettingError(setting, text, f"must be {syntax}")
    found = np.array([[float(value) for value in pair] for pair in pairs], np.float32).reshape(-1, 2)
    for pair, (x, y) in zip(pairs, found.tolist(), strict=True):
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise SettingError(
                setting,
                text,
                f"point '{','.join(pair)}' is outside the image: x and y are fractions of the image, 0 to 1",
            )
    if len(found) != 2 if line else len(found) < 3:
        raise SettingError(setting, text, f"must be {syntax}")
    if np.linalg.matrix_rank(found[1:] - found[0], tol=1e-6) < (1 if line else 2):
        what = "the two points coincide" if line else "the points lie on one line and enclose no area"
        raise SettingError(setting, text, f"{what}; must be {syntax}")
    return found


def parse_regions(setting: str, texts: Sequence[str]) -> dict[str, tuple[Shape, ...]]:
    """Parse ``"0,0 0.5,0 0.5,1"`` or, for one camera, ``"front: 0,0 ..."`` into polygons by camera.

    Raises:
        SettingError: see :func:`parse_points`.
    """
    regions: dict[str, tuple[Shape, ...]] = {}
    for text in texts:
        camera, _, points = text.rpartition(":")
        shape = Shape("", camera.strip(), parse_points(setting, text, points))
        regions[shape.camera] = (*regions.get(shape.camera, ()), shape)
    return regions


def parse_shapes(setting: str, texts: Iterable[str], *, line: bool = False) -> tuple[Shape, ...]:
    """Parse ``"name: 0,0 0.5,0 0.5,1"`` or ``"camera/name: ..."`` into polygons, or into lines of two points.

    Raises:
        SettingError: no name, a name is given twice for a camera, or see :func:`parse_points`.
    """
    shapes: dict[tuple[str, str], Shape] = {}
    for text in texts:
        path, _, points = text.rpartition(":")
        camera, _, name = path.strip().rpartition("/")
        if not _NAME.fullmatch(name):
            example = "gate: 0.2,0.9 0.8,0.9" if line else "sofa: 0,0 0.5,0 0.5,1 0,1"
            remedy = f"must begin with a name of letters, digits, - and _, and a colon, like '{example}'"
            raise SettingError(setting, text, remedy)
        if (camera, name) in shapes:
            raise SettingError(setting, text, f"the name '{name}' is given twice; use another one")
        shapes[camera, name] = Shape(name, camera, parse_points(setting, text, points, line=line))
    return tuple(shapes.values())


def shapes_of(shapes: Iterable[Shape], camera: str) -> Mapping[str, Shape]:
    """The shapes of one camera by name; its own shapes override those for every camera."""
    found = [shape for shape in shapes if shape.camera in ("", camera)]
    return {shape.name: shape for shape in sorted(found, key=lambda shape: shape.camera)}
