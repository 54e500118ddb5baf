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

"""The configuration of a YOLO data set: ``data.yaml``, Darknet's and CVAT's ``obj.data``, or ``classes.txt`` alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgecam_training.data.dataset import SPLITS
from edgecam_training.data.image_files import hidden
from edgecam_training.data.text_files import class_name, read_lines, read_text
from edgecam_training.errors import DatasetError

_CLASSES = "classes.txt"  # one class per line, as written by LabelImg and Label Studio
_NAMES = re.compile(rb"""^[\xef\xbb\xbf\xff\xfe]*["']?(names|nc)["']?\s*:""", re.MULTILINE)


def configs(root: Path) -> list[Path]:
    """The configurations in a folder, those of the best known name only."""
    for pattern in ("data.y*ml", "*.y*ml", "obj.data", _CLASSES):
        found = [path for path in sorted(root.glob(pattern)) if not hidden(path) and _names_classes(path)]
        if found:
            return found
    return []


def _names_classes(path: Path) -> bool:
    return path.name in ("obj.data", _CLASSES) or bool(_NAMES.search(path.read_bytes().replace(b"\0", b"")))


@dataclass(frozen=True)
class Config:
    """A configuration. ``numbers`` maps class numbers in label files to class indices; ``parts`` are the files and
    folders of each split, relative to ``base``. ``keypoints`` is how many numbers of keypoints follow a box, if any."""

    file: Path
    base: Path
    classes: tuple[str, ...]
    numbers: dict[int, int]
    parts: dict[str, list[str]]
    keypoints: int = 0


def read_config(file: Path) -> Config:
    """Read one configuration: ``data.yaml``, ``obj.data`` or ``classes.txt``.

    Raises:
        DatasetError: it cannot be used; the message says why.
    """
    return {"obj.data": _darknet, _CLASSES: _classes_alone}.get(file.name, _yaml)(file)


def _yaml(file: Path) -> Config:
    try:
        # Read every value as text: YAML would convert a class called "yes" to true, and a quoted key to 1.
        content: Any = yaml.load(read_text(file), Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise DatasetError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    content = content if isinstance(content, dict) else {}
    count = str(content.get("nc", ""))
    if "names" not in content and not count.isdecimal():
        raise DatasetError(f"{file} has no 'names'; it must be a list of class names")
    unnamed = [f"class_{number}" for number in range(int(count))] if count.isdecimal() else None  # as Ultralytics
    ids = _ids(file, content.get("names", unnamed))
    if count and count != str(len(ids)):
        raise DatasetError(f"{file}: nc is {count}, but names has {len(ids)} classes")
    base = file.parent / str(content.get("path") or ".")
    parts = {split: _entries(content.get(key)) for split in SPLITS for key in _keys(split) if content.get(key)}
    parts = parts or _split_folders(file.parent)
    if "train" not in parts and "val" not in parts and "test" not in parts:
        raise DatasetError(f"{file} names no train, val or test images, and there is no images/train next to it")
    return Config(
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


def _classes_alone(file: Path) -> Config:
    ids = _ids(file, read_lines(file))
    home = file.parent
    parts = _split_folders(home) or {"train": ["images" if (home / "images").is_dir() else "."]}
    return Config(file, home, tuple(ids.values()), {number: number for number in ids}, parts)


def _darknet(file: Path) -> Config:
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
    return Config(file, file.parent, tuple(ids.values()), {number: number for number in ids}, parts)
