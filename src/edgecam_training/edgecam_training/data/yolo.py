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

"""YOLO: ``data.yaml`` (``names``, ``train``, ``val``, ``test``), images, and a text file of boxes for each.

A line is class, centre x, centre y, width, height, as fractions of the upright image, or a class and the corners of
a polygon. The labels of ``images/a/b.jpg`` are in ``labels/a/b.txt``, otherwise next to the image. Darknet's and CVAT's
``obj.data`` is read too, and a ``classes.txt`` next to images and labels (LabelImg, Label Studio).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgecam_training.data.checks import MOST_FRACTION, PIXELS
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import (
    SUFFIXES,
    Header,
    ImageIndex,
    ImageNotFound,
    hidden,
    images_in,
    inside,
    normal,
    read_headers,
)
from edgecam_training.data.text_files import read_lines, read_text
from edgecam_training.data.yolo_config import Config, configs, read_config
from edgecam_training.data.yolo_keypoints import Outlines
from edgecam_training.errors import DatasetError

_LINE = re.compile(r"\d+(\s+[-+.\deE]+){4,}")


def fits(root: Path) -> bool:
    return root.suffix in (".yaml", ".yml") if root.is_file() else bool(configs(root))


def read(root: Path) -> Dataset:
    """Read one YOLO folder, or one YAML file.

    Raises:
        DatasetError: no usable configuration, a split that does not exist, no label file at all, or a class number
            that is not in ``names``.
    """
    files = [root] if root.is_file() else configs(root)
    if len(files) > 1:
        raise DatasetError(
            f"{root} has several configurations, {', '.join(path.name for path in files)}; pass one of them"
        )
    config = read_config(files[0])
    findings = Findings()
    images = {split: _images(config, split, findings) for split in config.parts}
    labels = {path: _labels_of(path) for paths in images.values() for path in paths}
    if labels and not any(file.is_file() for file in labels.values()):
        raise DatasetError(
            f"{config.file}: none of {len(labels)} images has a label file; looked for {next(iter(labels.values()))} "
            "and a .txt next to each image"
        )
    _count_orphans(labels, findings)
    samples, outlines = [], Outlines()
    for split, paths in images.items():
        for path, header in zip(paths, read_headers(paths), strict=True):
            size = header.upright if isinstance(header, Header) else (0, 0)
            samples.append(_sample(config, path, labels[path], split, size, findings, outlines))
    outlines.refuse_keypoints(config.file)
    return Dataset(config.file.parent, config.classes, tuple(samples), findings)


def _images(config: Config, split: str, findings: Findings) -> list[Path]:
    """The images of a split, in order, each once.

    Raises:
        DatasetError: a folder or list that does not exist.
    """
    found: dict[Path, None] = {}
    for entry in config.parts[split]:
        place = _place(config, entry)
        if place is None:
            raise DatasetError(f"{config.file}: {split} is '{entry}', which does not exist below {config.base}")
        if place.is_dir():
            found |= dict.fromkeys(images_in(place))
        elif place.suffix == ".txt":
            found |= dict.fromkeys(_listed(config, place, findings))
        else:
            raise DatasetError(f"{config.file}: {split} is '{entry}'; it must be a folder or a .txt list of images")
    return list(found)


def _place(config: Config, entry: str) -> Path | None:
    """A folder or list inside the data set; Roboflow's ``../train/images`` means ``train/images``."""
    written = entry.replace("\\", "/")
    inner = written
    while inner.startswith("../"):
        inner = inner[3:]
    bases = dict.fromkeys((config.base, config.file.parent))
    places = [base / text for text in dict.fromkeys((inner, written)) for base in bases]
    if written.startswith("/") or config.file.name == "obj.data":  # of another machine: the end may exist here
        parts = PurePosixPath(written.lstrip("/")).parts
        places += [config.file.parent / Path(*parts[start:]) for start in range(len(parts))]
    return next((place for place in places if place.exists()), None)


def _listed(config: Config, file: Path, findings: Findings) -> Iterator[Path]:
    home = config.file.parent if inside(file, config.file.parent) else config.base
    index = ImageIndex(home)
    for line in read_lines(file):
        try:
            yield index.find(line, (file.parent, config.base))
        except ImageNotFound as reason:
            findings.dropped("images", str(reason), 1, f"{file.name}: {line}")
            findings.dropped("boxes", f"{reason} (at least one box each)", 1, f"{file.name}: {line}")


def _labels_of(image: Path) -> Path:
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    named = Path(*parts).with_suffix(".txt")
    return image.with_suffix(".txt") if not named.is_file() and image.with_suffix(".txt").is_file() else named


def _count_orphans(labels: Mapping[Path, Path], findings: Findings) -> None:
    """Count label files without an image in the folders of labels."""
    for images, folder in sorted({(image.parent, file.parent) for image, file in labels.items()}):
        there = {normal(path.stem) for path in images.iterdir() if path.suffix.lower() in SUFFIXES}
        for file in sorted(folder.glob("*.txt")):
            if not hidden(file) and normal(file.stem) not in there:
                lines = [line for line in read_lines(file) if _LINE.fullmatch(line)]
                findings.dropped("boxes", f"label file without an image ({', '.join(SUFFIXES)})", len(lines), file)


def _sample(
    config: Config, path: Path, file: Path, split: str, size: tuple[int, int], findings: Findings, outlines: Outlines
) -> Sample:
    boxes, labels = [], []
    lines = read_text(file).splitlines() if file.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label, *values = (float(item) for item in line.split())
        except ValueError as error:
            raise DatasetError(f"{file}, line {number}: must be numbers, is {line!r}") from error
        if label not in config.numbers:
            known = f"names has {', '.join(map(str, config.numbers))}"
            raise DatasetError(f"{file}, line {number}: class {label:g} is not in {config.file.name}; {known}")
        box = _box(values, config.keypoints)
        if box is None:
            raise DatasetError(
                f"{file}, line {number}: has {1 + len(values)} numbers; {_expected(config, len(values))}"
            )
        if len(values) != 4 and not config.keypoints:
            outlines.add(values)
            findings.repaired("boxes", "polygon: the upright box around it", 1, f"{file}, line {number}")
        if not all(map(math.isfinite, box)):
            findings.dropped("boxes", "a coordinate is not a number", 1, f"{file}, line {number}")
        elif max(map(abs, box)) > MOST_FRACTION:
            findings.dropped("boxes", PIXELS, 1, f"{file}, line {number}")
        else:
            boxes.append([value * side for value, side in zip(box, size * 2, strict=True)])
            labels.append(config.numbers[int(label)])
    return Sample.make(path, size, split, boxes, labels)


def _expected(config: Config, count: int) -> str:
    if config.keypoints:
        return f"by kpt_shape of {config.file.name} a box with keypoints has {5 + config.keypoints}"
    predicted = "; a confidence at the end means that these are predictions of a model" if count % 2 else ""
    return f"a box has 5, a polygon a class and pairs{predicted}"


def _box(values: list[float], keypoints: int) -> tuple[float, float, float, float] | None:
    """Corners as fractions of a box or of the box around a polygon; None if the count fits neither."""
    if len(values) in (4, 4 + keypoints):
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 6 and len(values) % 2 == 0 and not keypoints:
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    return None
