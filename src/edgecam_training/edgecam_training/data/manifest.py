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

"""edgecam's own layout: ``manifest.jsonl`` next to the images, one line per image.

The first line is ``{"format": "edgecam-dataset", "version": 1, "classes": [...]}``. Each other line has ``image``
(relative path), ``split``, ``width``, ``height``, ``sha256``, ``boxes`` (``[[x1, y1, x2, y2], ...]`` in pixels),
``labels`` (names), ``difficult`` and ``crowd`` (omitted if empty) and other fields such as licence and author.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.image_files import inside
from edgecam_training.data.text_files import flag
from edgecam_training.errors import DatasetError

NAME = "manifest.jsonl"
_KNOWN = ("image", "split", "width", "height", "boxes", "labels", "difficult", "crowd")
_SPLIT = re.compile(r"\w[\w.-]*")


def fits(root: Path) -> bool:
    return (root / NAME).is_file() or root.name.endswith(".jsonl")


def read(root: Path) -> Dataset:
    """Read a folder with a manifest, or the manifest itself.

    Raises:
        DatasetError: unreadable, another version, or a line that cannot be; names file and line.
    """
    path = root if root.is_file() else root / NAME
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    head = _parse(path, 1, lines[0]) if lines else {}
    if head.get("format") != "edgecam-dataset" or head.get("version") != 1:
        raise DatasetError(f"{path}: the first line is not an edgecam-dataset of version 1")
    classes = head.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) and name for name in classes):
        raise DatasetError(f"{path}: 'classes' of the first line must be a list of names, is {classes!r}")
    if len(set(classes)) < len(classes):
        raise DatasetError(f"{path}: 'classes' of the first line names a class twice: {', '.join(classes)}")
    numbers = {name: index for index, name in enumerate(classes)}
    samples = []
    for number, line in enumerate(lines[1:], start=2):
        row = _parse(path, number, line)
        try:
            samples.append(_sample(path.parent, row, numbers))
        except (KeyError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DatasetError(f"{path}, line {number}: {what}") from error
    return Dataset(path.parent, tuple(classes), tuple(samples))


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{path}, line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{path}, line {number} is not a JSON object")
    return row


def _sample(root: Path, row: dict[str, Any], numbers: dict[str, int]) -> Sample:
    facts = {key: value for key, value in row.items() if key not in _KNOWN}
    path = root / str(row["image"])
    if not inside(path, root):
        raise ValueError(f"image '{row['image']}' lies outside the data set's folder")
    if not _SPLIT.fullmatch(str(row["split"])):
        raise ValueError(f"split '{row['split']}' must be a plain name such as train, val or test")
    unknown = [name for name in row["labels"] if name not in numbers]
    if unknown or len(row["labels"]) != len(row["boxes"]):
        found = f"label '{unknown[0]}' is not in classes" if unknown else f"{len(row['labels'])} labels"
        raise ValueError(f"{found}, for {len(row['boxes'])} boxes")
    return Sample.make(
        path,
        (int(row["width"]), int(row["height"])),
        str(row["split"]),
        row["boxes"],
        [numbers[name] for name in row["labels"]],
        _flags(row, "difficult"),
        _flags(row, "crowd"),
        **facts,
    )


def _flags(row: dict[str, Any], key: str) -> list[bool] | None:
    if row.get(key) is None:
        return None
    answers = [flag(value) for value in row[key]]
    if None in answers:
        raise ValueError(f"{key} is {row[key]}; it must be a list of true and false")
    return list(map(bool, answers))


def write(root: Path, classes: Iterable[str], samples: Iterable[Sample]) -> Path:
    """Write the manifest atomically; the same samples produce the same bytes. Images are not touched.

    Raises:
        DatasetError: an image lies outside ``root``.
    """
    names, samples = list(classes), list(samples)
    outside = next((sample.path for sample in samples if not inside(sample.path, root)), None)
    if outside is not None:
        raise DatasetError(f"{root / NAME} cannot name {outside}, which lies outside its folder")
    lines = [json.dumps({"format": "edgecam-dataset", "version": 1, "classes": names}, ensure_ascii=False)]
    lines += [json.dumps(_row(root, names, sample), ensure_ascii=False) for sample in samples]
    path = root / NAME
    root.mkdir(parents=True, exist_ok=True)
    cache.write(path, ("\n".join(lines) + "\n").encode())
    return path


def _row(root: Path, names: list[str], sample: Sample) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image": str(sample.path.relative_to(root)),
        "split": sample.split,
        "width": sample.width,
        "height": sample.height,
        "boxes": [[round(float(value), 2) for value in box] for box in sample.boxes],
        "labels": [names[label] for label in sample.labels],
    }
    if sample.difficult.any():
        row["difficult"] = [bool(flag) for flag in sample.difficult]
    if sample.crowd.any():
        row["crowd"] = [bool(flag) for flag in sample.crowd]
    return row | sample.facts
