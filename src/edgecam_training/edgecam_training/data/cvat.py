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

"""CVAT for images 1.1: XML files (``annotations.xml``, or one for each split) next to the images.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Corners are pixels with edges counted from 0.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import ImageIndex, ImageNotFound, hidden
from edgecam_training.data.rotated import around, upright
from edgecam_training.data.splits import split_named
from edgecam_training.data.text_files import class_name, decode_xml
from edgecam_training.errors import DatasetError

_MARK = "<annotations>"
_BOXES = ("box", "polygon", "ellipse", "mask")
_OTHERS = ("polyline", "points", "cuboid", "skeleton", "tag")


def fits(root: Path) -> bool:
    return bool(_files(root))


def _files(root: Path) -> list[Path]:
    found = [root] if root.is_file() else sorted(root.glob("*.xml"))
    return [path for path in found if path.suffix == ".xml" and not hidden(path) and _MARK in _head(path)]


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(400).decode(errors="ignore")


def read(root: Path) -> Dataset:
    """Read one folder or file.

    Raises:
        DatasetError: damaged XML, or tracks (CVAT for video).
    """
    findings = Findings()
    home = root.parent if root.is_file() else root
    index = ImageIndex(home)
    images, names = [], []
    for path in _files(root):
        try:
            tree = ElementTree.fromstring(decode_xml(path.read_bytes(), path))
        except ElementTree.ParseError as error:
            raise DatasetError(f"{path} is damaged: {error}") from error
        if tree.find("track") is not None:
            raise DatasetError(f"{path} holds tracks (CVAT for video); export it as 'CVAT for images 1.1'")
        images += [(path, image) for image in tree.findall("image")]
        names += [
            class_name(label.findtext("name", "")) for label in tree.iter("label") if label.find("parent") is None
        ]
    used = {class_name(box.get("label", "")) for _, image in images for box in _shapes(image)} - {""}
    if names:
        findings.noted("classes", "not in the list of labels", len(used - set(names)), sorted(used - set(names)))
    classes = list(dict.fromkeys([name for name in names if name] + sorted(used)))
    samples = []
    for path, image in images:
        try:
            samples.append(_sample(path, image, index, classes, findings))
        except ImageNotFound as reason:
            findings.dropped("images", str(reason), 1, image.get("name", ""))
            findings.dropped("boxes", str(reason), len(_shapes(image)), image.get("name", ""))
    return Dataset(home, tuple(classes), tuple(samples), findings)


def _shapes(image: ElementTree.Element) -> list[ElementTree.Element]:
    return [item for item in image if item.tag in _BOXES]


def _sample(
    file: Path, image: ElementTree.Element, index: ImageIndex, classes: list[str], findings: Findings
) -> Sample:
    name = image.get("name", "")
    path = index.find(name, (index.root / "images",))
    boxes, labels = [], []
    for item in _shapes(image):
        label = class_name(item.get("label", ""))
        try:
            corners, rotation = _corners(item), float(item.get("rotation", "0"))
        except ValueError:
            corners, rotation = [math.nan], 0.0
        if not label or not all(map(math.isfinite, (*corners, rotation))):
            findings.dropped("boxes", "corners are not numbers" if label else "no class name", 1, name)
            continue
        if rotation % 180:
            x1, y1, x2, y2 = corners
            corners = upright(corners, rotation, ((x1 + x2) / 2, (y1 + y2) / 2))
        changed = item.tag != "box" or rotation % 180 > 0
        kind = "turned" if item.tag == "box" else item.tag
        findings.repaired("boxes", f"{kind}: the upright box around it", int(changed), name)
        boxes.append(corners)
        labels.append(classes.index(label))
    for shape in _OTHERS:
        findings.dropped("shapes", f"'{shape}' is not a box", len(image.findall(shape)), name)
    split = split_named(image.get("subset", "")) or split_named(file.stem) or "train"
    return Sample.make(path, (_number(image, "width"), _number(image, "height")), split, boxes, labels)


def _corners(item: ElementTree.Element) -> list[float]:
    """Edges of a box, or around another shape. Raises ValueError if they are not numbers."""
    if item.tag == "polygon":
        points = [point.split(",") for point in item.get("points", "").split(";")]
        return around([float(point[0]) for point in points], [float(point[-1]) for point in points])
    if item.tag == "box":
        return [float(item.get(key, "")) for key in ("xtl", "ytl", "xbr", "ybr")]
    keys = ("cx", "cy", "rx", "ry") if item.tag == "ellipse" else ("left", "top", "width", "height")
    x, y, w, h = (float(item.get(key, "")) for key in keys)
    return [x - w, y - h, x + w, y + h] if item.tag == "ellipse" else [x, y, x + w, y + h]


def _number(image: ElementTree.Element, key: str) -> int:
    text = image.get(key, "")
    return int(text) if text.isdecimal() else 0
