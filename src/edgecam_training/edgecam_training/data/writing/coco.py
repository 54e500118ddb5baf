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

"""COCO: ``annotations/instances_<split>.json`` next to ``images/<split>/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.writing import Named, copy_image


def write(samples: Named, classes: Sequence[str], output: Path, findings: Findings) -> None:
    """Crowds are ``iscrowd``. COCO has no flag for difficult objects: they become crowds and are counted."""
    (output / "annotations").mkdir(parents=True)
    for split in sorted({sample.split for _, sample in samples}):
        document: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes, start=1)],
        }
        for name, sample in samples:
            if sample.split == split:
                file = copy_image(name, sample, output / "images" / split, findings)
                _add(document, file, sample, findings)
        text = json.dumps(document, ensure_ascii=False) + "\n"
        cache.write(output / "annotations" / f"instances_{split}.json", text.encode())


def _add(document: dict[str, Any], file: str, sample: Sample, findings: Findings) -> None:
    number = len(document["images"]) + 1
    document["images"].append({"id": number, "file_name": file, "width": sample.width, "height": sample.height})
    for box, label, difficult in zip(sample.boxes.tolist(), sample.labels.tolist(), sample.difficult, strict=True):
        x1, y1, x2, y2 = box
        document["annotations"].append(
            {
                "id": len(document["annotations"]) + 1,
                "image_id": number,
                "category_id": label + 1,
                "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
                "area": round((x2 - x1) * (y2 - y1), 3),
                "iscrowd": int(difficult),
                "segmentation": [],
            }
        )
    difficult_only = int((sample.difficult & ~sample.crowd).sum())
    findings.noted("boxes", "difficult: written as crowds, the closest that COCO has", difficult_only, sample.path)
