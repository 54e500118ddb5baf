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

"""YOLO: ``data.yaml``, ``images/<split>/`` and ``labels/<split>/`` with a text file for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from edgecam_core import cache
from edgecam_training.data.dataset import Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.writing import Named, copy_image, without_flags


def write(samples: Named, classes: Sequence[str], output: Path, findings: Findings) -> None:
    """Write the data set. Images without objects get an empty text file, as Ultralytics' training expects."""
    splits = sorted({sample.split for _, sample in samples})
    for name, sample in samples:
        copy_image(name, sample, output / "images" / sample.split, findings)
        folder = output / "labels" / sample.split
        folder.mkdir(parents=True, exist_ok=True)
        cache.write(folder / f"{name}.txt", _lines(without_flags(sample, findings, "YOLO")).encode())
    content = {"path": ".", **{split: f"images/{split}" for split in splits}, "names": dict(enumerate(classes))}
    cache.write(output / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())


def _lines(sample: Sample) -> str:
    text = ""
    for (x1, y1, x2, y2), label in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True):
        w, h = sample.width, sample.height
        text += f"{label} {(x1 + x2) / 2 / w:.8f} {(y1 + y2) / 2 / h:.8f} {(x2 - x1) / w:.8f} {(y2 - y1) / h:.8f}\n"
    return text
