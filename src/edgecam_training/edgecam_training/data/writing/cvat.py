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

"""CVAT for images 1.1: ``<split>.xml`` next to ``images/``.

Format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from edgecam_core import cache
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.writing import Named, copy_image, without_flags


def write(samples: Named, classes: Sequence[str], output: Path, findings: Findings) -> None:
    """Write one file per split; corners are in pixels with two decimals."""
    for split in sorted({sample.split for _, sample in samples}):
        root = ElementTree.Element("annotations")
        ElementTree.SubElement(root, "version").text = "1.1"
        labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
        for name in classes:
            label = ElementTree.SubElement(labels, "label")
            ElementTree.SubElement(label, "name").text = name
            ElementTree.SubElement(label, "attributes")
        for number, (name, sample) in enumerate((name, one) for name, one in samples if one.split == split):
            file = copy_image(name, sample, output / "images", findings)
            _add(root, number, file, without_flags(sample, findings, "CVAT"), classes)
        ElementTree.indent(root)
        text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        cache.write(output / f"{split}.xml", text + b"\n")


def _add(root: ElementTree.Element, number: int, file: str, sample: Sample, classes: Sequence[str]) -> None:
    size = {"width": str(sample.width), "height": str(sample.height)}
    image = ElementTree.SubElement(root, "image", {"id": str(number), "name": file, "subset": sample.split, **size})
    for box, index in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True):
        corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{value:.2f}" for value in box), strict=True))
        ElementTree.SubElement(image, "box", {"label": classes[index], "source": "manual", "occluded": "0", **corners})
