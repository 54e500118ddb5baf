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

"""Locations of the tables and images of each release, and how to read the tables.

The large ones have millions of lines, so they are read as a stream; the selected lines are cached in a small file next
to them, so that an interrupted download resumes at once.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from edgecam_core import cache
from edgecam_training.data.text_files import flag
from edgecam_training.errors import DatasetError

TABLES = "https://storage.googleapis.com/openimages"
IMAGES = "https://open-images-dataset.s3.amazonaws.com"
Progress = Callable[[int, int], None]
_BLOCK = 1 << 24
FOLDERS = {"train": "train", "val": "validation", "test": "test"}  # our split: Open Images' split


@dataclass(frozen=True)
class Release:
    """Paths below :data:`TABLES`; ``boxes`` and ``images`` per split."""

    classes: str
    boxes: dict[str, str]
    images: dict[str, str]


_IMAGES = {
    "train": "2018_04/train/train-images-boxable-with-rotation.csv",
    "val": "2018_04/validation/validation-images-with-rotation.csv",
    "test": "2018_04/test/test-images-with-rotation.csv",
}
_V5_BOXES = {"val": "v5/validation-annotations-bbox.csv", "test": "v5/test-annotations-bbox.csv"}
RELEASES = {
    "v4": Release(
        "2018_04/class-descriptions-boxable.csv",
        {split: f"2018_04/{there}/{there}-annotations-bbox.csv" for split, there in FOLDERS.items()},
        _IMAGES,
    ),
    "v5": Release(
        "v5/class-descriptions-boxable.csv",
        {"train": "2018_04/train/train-annotations-bbox.csv", **_V5_BOXES},
        _IMAGES,
    ),
    "v6": Release(
        "v5/class-descriptions-boxable.csv", {"train": "v6/oidv6-train-annotations-bbox.csv", **_V5_BOXES}, _IMAGES
    ),
    "v7": Release(
        "v7/oidv7-class-descriptions-boxable.csv",
        {"train": "v6/oidv6-train-annotations-bbox.csv", **_V5_BOXES},
        _IMAGES,
    ),
}


@dataclass(frozen=True)
class TableBox:
    """One line of a box table: fractions of the image, and the flags (1, 0, -1 unknown)."""

    image: str
    code: str
    corners: tuple[float, float, float, float]
    occluded: bool
    group: bool
    depiction: bool


def class_codes(table: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Names by code (``/m/0898b``), in the requested order.

    Raises:
        DatasetError: Open Images has no such class; the message suggests the closest names.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if len(row) >= 2]
    known = {row[1].casefold(): (row[0], row[1]) for row in rows if row[0].startswith("/")}
    wrong = [_offer(name, known) for name in names if name.casefold() not in known]
    if wrong:
        raise DatasetError(f"Open Images has no boxes of {'; nor of '.join(wrong)}")
    return dict(known[name.casefold()] for name in names)


def _offer(name: str, known: dict[str, tuple[str, str]]) -> str:
    near = get_close_matches(name.casefold(), list(known), n=3, cutoff=0.5)
    words = " or ".join(repr(known[item][1]) for item in near)
    return f"a class '{name}'" + (f"; did you mean {words}?" if words else "")


def boxes(table: Path, codes: dict[str, str], progress: Progress | None = None) -> Iterator[TableBox]:
    """The lines of these classes, in file order. The first call blocks to read the whole table."""
    with index(table, codes, progress).open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["LabelName"] in codes:
                try:
                    yield _box(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise DatasetError(f"{table}: a line of image {row.get('ImageID')} is damaged: {error}") from error


def index(table: Path, codes: dict[str, str], progress: Progress | None = None) -> Path:
    """The lines of a box table with these classes, cached in a file next to it until the table changes."""
    target = table.with_name(f"{table.stem}.{_digest(table, codes)}.csv")
    if target.is_file():
        return target
    pattern = re.compile(b",(?:" + b"|".join(re.escape(code.encode()) for code in codes) + b"),")
    total = table.stat().st_size
    found: list[bytes] = []
    with table.open("rb") as file:
        found.append(file.readline())
        while block := file.read(_BLOCK):
            block += file.readline()
            end = 0
            for match in pattern.finditer(block):
                if match.start() >= end:
                    begin, end = (
                        block.rfind(b"\n", 0, match.start()) + 1,
                        block.find(b"\n", match.end()) + 1 or len(block),
                    )
                    found.append(block[begin:end].rstrip(b"\r\n") + b"\n")
            if progress:
                progress(min(total, file.tell()), total)
    cache.write(target, b"".join(found))
    return target


def _digest(table: Path, image_ids: Iterable[str]) -> str:
    facts = table.stat()
    return hashlib.sha256(f"{facts.st_size} {facts.st_mtime_ns} {sorted(image_ids)}".encode()).hexdigest()[:12]


def _box(row: dict[str, str]) -> TableBox:
    corners = (float(row["XMin"]), float(row["YMin"]), float(row["XMax"]), float(row["YMax"]))
    flags = (flag(row[key]) is True for key in ("IsOccluded", "IsGroupOf", "IsDepiction"))
    return TableBox(row["ImageID"], row["LabelName"], corners, *flags)


def facts(table: Path, image_ids: set[str]) -> dict[str, dict[str, str]]:
    """Licence, author and source of these images, by id, without images that are not in the table.

    The first call blocks to read the whole table.
    """
    target = table.with_name(f"{table.stem}.{_digest(table, image_ids)}.json")
    if target.is_file():
        known: dict[str, dict[str, str]] = json.loads(target.read_text(encoding="utf-8"))
        return known
    keys = {"License": "licence", "Author": "author", "OriginalLandingURL": "source", "Rotation": "rotation"}
    found = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["ImageID"] in image_ids:
                found[row["ImageID"]] = {new: row[old] for old, new in keys.items() if row.get(old)}
    cache.write(target, json.dumps(found, ensure_ascii=False).encode())
    return found
