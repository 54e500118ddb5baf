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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from edgecam_training.data.checks import MOST_FRACTION, PIXELS
from edgecam_training.data.dataset import SPLITS, Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import (
    SUFFIXES,
    Header,
    ImageIndex,
    NotFound,
    hidden,
    images_in,
    inside,
    normal,
    read_headers,
)
from edgecam_training.data.text_files import class_name, read_lines, read_text
from edgecam_training.data.yolo_keypoints import Outlines
from edgecam_training.errors import DatasetError

_CLASSES = "classes.txt"  # one class per line, as written by LabelImg and Label Studio
_NAMES = re.compile(rb"""^[\xef\xbb\xbf\xff\xfe]*["']?names["']?\s*:""", re.MULTILINE)
_LINE = re.compile(r"\d+(\s+[-+.\deE]+){4,}")


def fits(root: Path) -> bool:
    return root.suffix in (".yaml", ".yml") if root.is_file() else bool(_configs(root))


def _configs(root: Path) -> list[Path]:
    for pattern in ("data.y*ml", "*.y*ml", "obj.data", _CLASSES):
        found = [path for path in sorted(root.glob(pattern)) if not hidden(path) and _names_classes(path)]
        if found:
            return found
    return []


def _names_classes(path: Path) -> bool:
    return path.name in ("obj.data", _CLASSES) or bool(_NAMES.search(path.read_bytes().replace(b"\0", b"")))


@dataclass(frozen=True)
class _Config:
    """A configuration. ``numbers`` maps class numbers in label files to class indices; ``parts`` are the files and
    folders of each split, relative to ``base``. ``keypoints`` is how many numbers of keypoints follow a box, if any."""

    file: Path
    base: Path
    classes: tuple[str, ...]
    numbers: dict[int, int]
    parts: dict[str, list[str]]
    keypoints: int = 0


def read(root: Path) -> Dataset:
    """Read one YOLO folder, or one YAML file.

    Raises:
        DatasetError: no usable configuration, a split that does not exist, no label file at all, or a class number
            that is not in ``names``.
    """
    files = [root] if root.is_file() else _configs(root)
    if len(files) > 1:
        raise DatasetError(
            f"{root} has several configurations, {', '.join(path.name for path in files)}; pass one of them"
        )
    read_config = {"obj.data": _darknet, _CLASSES: _classes_alone}.get(files[0].name, _config)
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


def _config(file: Path) -> _Config:
    try:
        # Read every value as text: YAML would convert a class called "yes" to true, and a quoted key to 1.
        content: Any = yaml.load(read_text(file), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise DatasetError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or "names" not in content:
        raise DatasetError(f"{file} has no 'names'; it must be a list of class names")
    ids = _ids(file, content["names"])
    count = content.get("nc", "")
    if count and count != str(len(ids)):
        raise DatasetError(f"{file}: nc is {count}, but names has {len(ids)} classes")
    base = file.parent / str(content.get("path") or ".")
    parts = {split: _entries(content.get(key)) for split in SPLITS for key in _keys(split) if content.get(key)}
    parts = parts or _split_folders(file.parent)
    if "train" not in parts and "val" not in parts and "test" not in parts:
        raise DatasetError(f"{file} names no train, val or test images, and there is no images/train next to it")
    return _Config(
        file, base if base.is_dir() else file.parent, tuple(ids.values()),
        {number: index for index, number in enumerate(ids)}, parts, _keypoints(file, content.get("kpt_shape")),
    )  # fmt: skip


def _keypoints(file: Path, shape: Any) -> int:
    """How many numbers ``kpt_shape`` (keypoints, numbers of each) adds to a line."""
    if shape is None:
        return 0
    if not isinstance(shape, list) or [str(part).isdecimal() for part in shape] != [True, True]:
        raise DatasetError(f"{file}: kpt_shape is {shape!r}; it must be two numbers, e.g. [17, 3]")
    return int(shape[0]) * int(shape[1])


def _keys(split: str) -> tuple[str, ...]:
    return ("val", "valid", "validation") if split == "val" else (split,)


def _entries(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _ids(file: Path, names: Any) -> dict[int, str]:
    """Names by class number in the label files, in order of the numbers."""
    listed = names.values() if isinstance(names, dict) else names if isinstance(names, list) else ()
    if not all(isinstance(name, str) for name in listed):
        raise DatasetError(f"{file}: names must be plain names, is {names}")
    if isinstance(names, dict):
        try:
            found = {int(key): class_name(name) for key, name in names.items()}
        except ValueError as error:
            raise DatasetError(f"{file}: the keys of names must be class numbers ({error})") from error
        found = dict(sorted(found.items()))
    elif isinstance(names, list):
        found = {number: class_name(name) for number, name in enumerate(names)}
    else:
        raise DatasetError(f"{file}: names is {names!r}; it must be a list, e.g. names: [{names}]")
    values = list(found.values())
    twice = sorted({name for name in values if values.count(name) > 1})
    if not values or twice or "" in values or min(found) < 0:
        raise DatasetError(f"{file}: names must be different, non-empty names, is {names}")
    return found


def _split_folders(home: Path) -> dict[str, list[str]]:
    """``images/train`` or ``train/images`` and so on."""
    names = [(split, name) for split in SPLITS for name in _keys(split)]
    places = [(split, text) for split, name in names for text in (f"images/{name}", f"{name}/images", name)]
    return {split: [text] for split, text in reversed(places) if (home / text).is_dir()}


def _classes_alone(file: Path) -> _Config:
    ids = _ids(file, read_lines(file))
    home = file.parent
    parts = _split_folders(home) or {"train": ["images" if (home / "images").is_dir() else "."]}
    return _Config(file, home, tuple(ids.values()), {number: number for number in ids}, parts)


def _darknet(file: Path) -> _Config:
    """Parse ``key = value`` lines; ``names`` is a file with one class per line."""
    values = dict(part.split("=", 1) for part in read_lines(file) if "=" in part)
    content = {key.strip(): value.strip() for key, value in values.items()}
    index = [
        file.parent / content.get("names", "obj.names"),
        file.parent / Path(content.get("names", "obj.names")).name,
    ]
    names = next((path for path in index if path.is_file()), None)
    if names is None:
        raise DatasetError(f"{file}: the file of names '{content.get('names', '')}' does not exist")
    ids = _ids(file, read_lines(names))
    parts = {
        split: [content[key]]
        for split, key in (("train", "train"), ("val", "valid"), ("test", "test"))
        if content.get(key)
    }
    return _Config(file, file.parent, tuple(ids.values()), {number: number for number in ids}, parts)


def _images(config: _Config, split: str, findings: Findings) -> list[Path]:
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


def _place(config: _Config, entry: str) -> Path | None:
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


def _listed(config: _Config, file: Path, findings: Findings) -> Iterator[Path]:
    home = config.file.parent if inside(file, config.file.parent) else config.base
    index = ImageIndex(home)
    for line in read_lines(file):
        try:
            yield index.find(line, (file.parent, config.base))
        except NotFound as reason:
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
    config: _Config, path: Path, file: Path, split: str, size: tuple[int, int], findings: Findings, outlines: Outlines
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


def _expected(config: _Config, count: int) -> str:
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
