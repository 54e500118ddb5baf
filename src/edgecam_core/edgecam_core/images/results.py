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

"""Writes the detections of several images to files: JSON, COCO results, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam_core.errors import SettingError
from edgecam_core.types import Detections


@dataclass(frozen=True)
class ImageResult:
    """The detections in one image; ``width`` and ``height`` are in pixels, ``number`` counts from 1."""

    number: int
    name: str
    width: int
    height: int
    found: Detections


def check_writable(option: str, path: Path) -> None:
    """Check that a result file can be written before processing starts; creates an empty file.

    Raises:
        SettingError: it cannot; the text states the system's reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise SettingError(option, str(path), f"cannot be written ({error.strerror}); use another path") from error


def write_json(path: Path, results: Sequence[ImageResult]) -> None:
    """Write a list of images: file, width, height, and detections with label, class_id, score and box.

    ``box`` is x1, y1, x2, y2 in pixels.
    """
    images = [
        {"file": one.name, "width": one.width, "height": one.height, "detections": _detections(one.found)}
        for one in results
    ]
    path.write_text(json.dumps(images, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _detections(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "label": item.label,
            "class_id": item.class_id,
            "score": round(item.score, 4),
            "box": [round(value, 2) for value in item.box],
            **({"track_id": item.track_id} if item.track_id else {}),
        }
        for item in found
    ]


def write_coco(path: Path, results: Sequence[ImageResult]) -> None:
    """Write COCO results: image_id, category_id, bbox (x, y, width, height in pixels), score.

    ``image_id`` is the number in the file name if all names are numbers, as in COCO (``000000000139.jpg``). Otherwise
    the images are numbered in order from 1.
    """
    stems = [Path(one.name).stem for one in results]
    by_name = all(stem.isdecimal() for stem in stems)
    rows = []
    for one, stem in zip(results, stems, strict=True):
        for item in one.found:
            x1, y1, x2, y2 = item.box
            rows.append(
                {
                    "image_id": int(stem) if by_name else one.number,
                    "category_id": item.class_id,
                    "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "score": round(item.score, 5),
                }
            )
    path.write_text(json.dumps(rows) + "\n", encoding="utf-8")


def write_csv(path: Path, results: Sequence[ImageResult]) -> None:
    """Write one line per detection: file, label, class_id, score, x1, y1, x2, y2 (pixels)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "class_id", "score", "x1", "y1", "x2", "y2"])
        for one in results:
            for item in one.found:
                box = [f"{value:.2f}" for value in item.box]
                rows.writerow([one.name, item.label, item.class_id, f"{item.score:.4f}", *box])
