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

"""Label Studio's tasks (https://labelstud.io/guide/tasks): tasks.json, images/ and the labelling configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from edgecam_core import cache
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.writing import Named, copy_image, without_flags

FROM, TO = "label", "image"


def write(samples: Named, classes: Sequence[str], output: Path, findings: Findings) -> None:
    """Corners are percent of the image. The images are named relative to the local storage ``images``."""
    tasks = []
    for number, (name, sample) in enumerate(samples, start=1):
        file = copy_image(name, sample, output / "images", findings)
        boxes = _results(without_flags(sample, findings, "Label Studio"), classes)
        data = {"image": f"/data/local-files/?d=images/{file}", "split": sample.split}
        tasks.append({"id": number, "data": data, "annotations": [{"id": number, "result": boxes}]})
    cache.write(output / "tasks.json", (json.dumps(tasks, indent=1, ensure_ascii=False) + "\n").encode())
    names = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in classes)
    text = (
        f'<View>\n  <Image name="{TO}" value="$image"/>\n  <RectangleLabels name="{FROM}" toName="{TO}">\n{names}\n'
        "  </RectangleLabels>\n</View>\n"
    )
    cache.write(output / "config.xml", text.encode())


def _results(sample: Sample, classes: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for number, (box, label) in enumerate(zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True)):
        x1, y1, x2, y2 = box
        value = {
            "x": 100 * x1 / sample.width,
            "y": 100 * y1 / sample.height,
            "width": 100 * (x2 - x1) / sample.width,
            "height": 100 * (y2 - y1) / sample.height,
            "rotation": 0,
            "rectanglelabels": [classes[label]],
        }
        found.append(
            {
                "id": f"box{number}",
                "type": "rectanglelabels",
                "from_name": FROM,
                "to_name": TO,
                "original_width": sample.width,
                "original_height": sample.height,
                "image_rotation": 0,
                "value": value,
            }
        )
    return found
