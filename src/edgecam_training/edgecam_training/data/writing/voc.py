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

"""Pascal VOC in the variant that jetson-inference's camera-capture writes and its train_ssd.py reads.

``Annotations/``, ``JPEGImages/``, ``ImageSets/Main/{train,trainval,val,test}.txt`` and ``labels.txt``. train_ssd.py
trains on trainval.txt and tests on test.txt. CVAT takes the classes from ``labelmap.txt``. VOC counts pixels from 1 and
includes the outermost ones.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from edgecam_core import cache
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.writing import Named, copy_image


def write(samples: Named, classes: Sequence[str], output: Path, findings: Findings) -> None:
    """Coordinates are whole pixels, as the readers of VOC expect. Crowds become difficult objects."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (output / folder).mkdir(parents=True)
    for name, sample in samples:
        file = copy_image(name, sample, output / "JPEGImages", findings)
        cache.write(output / "Annotations" / f"{name}.xml", _xml(file, sample, classes))
        findings.noted("boxes", "crowd: written as difficult objects", int(sample.crowd.sum()), sample.path)
    test = [name for name, sample in samples if sample.split == "test"]
    val = [name for name, sample in samples if sample.split == "val"]
    train = [name for name, sample in samples if sample.split not in ("val", "test")]
    lists = {"train": train, "val": val or test, "trainval": train + val, "test": test or val}
    for title, names in lists.items():
        cache.write(output / "ImageSets" / "Main" / f"{title}.txt", "".join(f"{name}\n" for name in names).encode())
    cache.write(output / "labels.txt", "".join(f"{name}\n" for name in classes).encode())
    labelmap = ["# label:color_rgb:parts:actions", *(f"{name}:::" for name in ("background", *classes))]
    cache.write(output / "labelmap.txt", "".join(f"{line}\n" for line in labelmap).encode())


def _xml(file: str, sample: Sample, classes: Sequence[str]) -> bytes:
    root = ElementTree.Element("annotation")
    _text(root, folder="JPEGImages", filename=file)
    _text(ElementTree.SubElement(root, "source"), database="edgecam", annotation="custom", image="custom")
    _text(ElementTree.SubElement(root, "size"), width=sample.width, height=sample.height, depth=3)
    _text(root, segmented=0)
    for box, label, difficult in zip(sample.boxes.tolist(), sample.labels.tolist(), sample.difficult, strict=True):
        item = ElementTree.SubElement(root, "object")
        _text(item, name=classes[label], pose="unspecified", truncated=0, difficult=int(difficult))
        x1, y1, x2, y2 = (round(value) for value in box)
        corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": max(x2, x1 + 1), "ymax": max(y2, y1 + 1)}
        _text(ElementTree.SubElement(item, "bndbox"), **corners)
    ElementTree.indent(root, "    ")
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _text(parent: ElementTree.Element, **values: object) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
