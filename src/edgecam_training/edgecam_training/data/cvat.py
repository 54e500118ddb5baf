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
from edgecam_training.data.image_files import ImageIndex, NotFound, hidden
from edgecam_training.data.rotated import upright
from edgecam_training.data.splits import split_named
from edgecam_training.data.text_files import class_name, decode_xml
from edgecam_training.errors import DatasetError

_MARK = "<annotations>"
_SHAPES = ("polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton", "tag")


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
        names += [class_name(label.findtext("name", "")) for label in tree.iter("label")]
    used = {class_name(box.get("label", "")) for _, image in images for box in image.findall("box")}
    classes = list(dict.fromkeys([name for name in names if name] + sorted(used)))
    samples = []
    for path, image in images:
        try:
            samples.append(_sample(path, image, index, classes, findings))
        except NotFound as reason:
            findings.dropped("images", str(reason), 1, image.get("name", ""))
            findings.dropped("boxes", str(reason), len(image.findall("box")), image.get("name", ""))
    return Dataset(home, tuple(classes), tuple(samples), findings)


def _sample(
    file: Path, image: ElementTree.Element, index: ImageIndex, classes: list[str], findings: Findings
) -> Sample:
    name = image.get("name", "")
    path = index.find(name, (index.root / "images",))
    boxes, labels = [], []
    for item in image.findall("box"):
        try:
            corners = [float(item.get(key, "nan")) for key in ("xtl", "ytl", "xbr", "ybr")]
            rotation = float(item.get("rotation", "0"))
        except ValueError:
            corners, rotation = [math.nan], 0.0
        if not all(map(math.isfinite, corners)):
            findings.dropped("boxes", "corners are no numbers", 1, name)
            continue
        if rotation % 180:
            x1, y1, x2, y2 = corners
            corners = upright(corners, rotation, ((x1 + x2) / 2, (y1 + y2) / 2))
            findings.repaired("boxes", "turned: the upright box around it", 1, name)
        boxes.append(corners)
        labels.append(classes.index(class_name(item.get("label", ""))))
    for shape in _SHAPES:
        findings.dropped("shapes", f"'{shape}' is no box", len(image.findall(shape)), name)
    split = split_named(image.get("subset", "")) or split_named(file.stem) or "train"
    return Sample.make(path, (_number(image, "width"), _number(image, "height")), split, boxes, labels)


def _number(image: ElementTree.Element, key: str) -> int:
    text = image.get(key, "")
    return int(text) if text.isdecimal() else 0
