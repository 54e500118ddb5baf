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

"""Reads the folder written by jetson-inference's ``open_images_downloader.py``.

``train/``, ``validation/`` and ``test/`` with images, and ``sub-<folder>-annotations-bbox.csv`` with their boxes as
fractions and their ``ClassName``. Its training treats group boxes as single boxes, and so does this reader.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path

from edgecam_training.data.checks import MOST_FRACTION, PIXELS
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import ABSENT, Header, images_in, read_headers
from edgecam_training.data.open_images.tables import FOLDERS
from edgecam_training.data.text_files import class_name, flag, read_text
from edgecam_training.errors import DatasetError

_GROUPS = "around groups: learned as single boxes, as jetson-inference does"
_NEEDED = ("ImageID", "XMin", "YMin", "XMax", "YMax", "ClassName")
_Row = dict[str, str]


def fits(root: Path) -> bool:
    return any(_table(root, split).is_file() for split in FOLDERS)


def _table(root: Path, split: str) -> Path:
    return root / f"sub-{FOLDERS[split]}-annotations-bbox.csv"


def read(root: Path) -> Dataset:
    """Read one such folder; images whose download failed are dropped with their boxes.

    Raises:
        DatasetError: a table without the columns it must have.
    """
    findings = Findings()
    rows = {split: _rows(_table(root, split)) for split in FOLDERS if _table(root, split).is_file()}
    classes = tuple(sorted({row["ClassName"] for part in rows.values() for row in part if _complete(row)}))
    samples = [sample for split, part in rows.items() for sample in _samples(root, split, part, classes, findings)]
    return Dataset(root, classes, tuple(samples), findings)


def _rows(table: Path) -> list[_Row]:
    reader = csv.DictReader(io.StringIO(read_text(table)), skipinitialspace=True)
    rows = [{str(key).strip(): class_name(value or "") for key, value in row.items() if key} for row in reader]
    if rows and (missing := set(_NEEDED) - set(rows[0])):
        raise DatasetError(f"{table} has no column {', '.join(sorted(missing))}")
    return rows


def _complete(row: _Row) -> bool:
    """False for the last line of a truncated download."""
    return all(row[key] for key in _NEEDED)


def _samples(root: Path, split: str, rows: list[_Row], classes: tuple[str, ...], findings: Findings) -> list[Sample]:
    by_image: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if _complete(row):
            by_image[row["ImageID"]].append(row)
        else:
            findings.dropped(
                "boxes", "incomplete line of the table", 1, f"{_table(root, split).name}: {row['ImageID']}"
            )
    folder = root / FOLDERS[split]
    there = {path.stem: path for path in images_in(folder)}
    paths = [there.get(name, folder / f"{name}.jpg") for name in by_image]
    samples = []
    for path, header, lines in zip(paths, read_headers(paths), by_image.values(), strict=True):
        if not isinstance(header, Header):
            findings.dropped("images", ABSENT if header == ABSENT else header, 1, path)
            findings.dropped("boxes", header, len(lines), path)
            continue
        boxes, labels = [], []
        for line in lines:
            try:
                fractions = [float(line[key]) for key in ("XMin", "YMin", "XMax", "YMax")]
            except (TypeError, ValueError) as error:
                raise DatasetError(f"{_table(root, split)}: a box of {path.stem} is not four numbers") from error
            if max(map(abs, fractions)) > MOST_FRACTION:
                findings.dropped("boxes", PIXELS, 1, path)
                continue
            boxes.append([value * side for value, side in zip(fractions, header.upright * 2, strict=True)])
            labels.append(classes.index(line["ClassName"]))
        findings.noted("boxes", _GROUPS, sum(flag(line.get("IsGroupOf")) is True for line in lines), path)
        samples.append(Sample.make(path, header.upright, split, boxes, labels))
    return samples
