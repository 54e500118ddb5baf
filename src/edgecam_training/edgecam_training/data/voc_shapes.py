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

"""The boxes of one VOC ``<object>``: ``<bndbox>``, a rotated box of roLabelImg, a polygon of LabelMe or Roboflow."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from edgecam_training.data.checks import FRACTIONS
from edgecam_training.data.findings import Findings
from edgecam_training.data.rotated import around, upright

_INCOMPLETE = "<bndbox> incomplete or not numbers"


def only(node: ElementTree.Element, key: str) -> str:
    """The text of a child; empty if it is missing, or there more than once."""
    found = node.findall(key)
    return found[0].text or "" if len(found) == 1 else ""


def boxes_of(node: ElementTree.Element, path: Path, findings: Findings) -> list[list[float]]:
    """The boxes of an object, edges counted from 0: usually one."""
    shapes = [child for key in _SHAPES for child in node.findall(key)]
    plain = [child for child in shapes if child.tag == "bndbox"] or shapes
    findings.repaired("boxes", "several boxes in one <object>: all used", len(plain) * (len(plain) > 1), path)
    if not plain:
        findings.dropped("boxes", _INCOMPLETE, 1, path)
    found = []
    for shape in plain:
        try:
            corners = _SHAPES[shape.tag](shape)
        except ValueError:
            findings.dropped("boxes", _INCOMPLETE.replace("bndbox", shape.tag), 1, path)
            continue
        if max(map(abs, (corners[0] + 1, corners[1] + 1, *corners[2:]))) <= 1.0 and corners != [0, 0, 1, 1]:
            findings.dropped("boxes", FRACTIONS, 1, path)
            continue
        findings.repaired("boxes", f"<{shape.tag}>: the upright box around it", int(shape.tag != "bndbox"), path)
        found.append(corners)
    return found


def _numbers(node: ElementTree.Element, *keys: str) -> list[float]:
    return [float(only(node, key)) for key in keys]


def _plain(node: ElementTree.Element) -> list[float]:
    x1, y1, x2, y2 = _numbers(node, "xmin", "ymin", "xmax", "ymax")
    return [x1 - 1, y1 - 1, x2, y2]


def _rotated(node: ElementTree.Element) -> list[float]:
    """roLabelImg: centre, size, and an angle in radians."""
    x, y, w, h, angle = _numbers(node, "cx", "cy", "w", "h", "angle")
    return upright([x - w / 2, y - h / 2, x + w / 2, y + h / 2], math.degrees(angle), (x, y))


def _polygon(node: ElementTree.Element) -> list[float]:
    """LabelMe: <pt><x/><y/></pt> for each corner; Roboflow: <x1/><y1/><x2/> ..."""
    xs, ys = ([float(child.text or "") for child in node.iter() if child.tag[:1] == axis] for axis in "xy")
    return around(xs, ys)


_SHAPES = {"bndbox": _plain, "robndbox": _rotated, "polygon": _polygon}
