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

"""COCO: JSON files in ``annotations/`` next to the image folders, or one in each split's folder (Roboflow).

A box is x, y, width, height in pixels with edges counted from 0. ``iscrowd`` becomes a crowd: an ignore region.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam_training.data.coco_outlines import Box, apart, outline_box
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import ImageIndex, ImageNotFound, hidden
from edgecam_training.data.splits import split_in, split_named
from edgecam_training.data.text_files import class_name, read_text
from edgecam_training.errors import DatasetError

_NEEDED = ("images", "annotations", "categories")
_ANY_NAME = ("*.json", "*/*.json")
_BAD_BOX = "bbox is not four numbers"
_OUTLINED = "no bbox: the box around its segmentation"
_NO_BOX = "no bbox and no usable segmentation"


def _ascii(path: Path) -> bytes:
    """The bytes of a file that may be UTF-16, with its ASCII characters searchable."""
    return path.read_bytes().replace(b"\0", b"")


def fits(root: Path) -> bool:
    return root.suffix == ".json" if root.is_file() else bool(_candidates(root))


def _candidates(root: Path) -> list[Path]:
    """JSON files that may be COCO's, from the most to the least usual place."""
    for pattern in ("annotations/**/*.json", "*/_annotations.coco.json", "_annotations.coco.json", *_ANY_NAME):
        found = sorted(path for path in root.glob(pattern) if not hidden(path))
        if pattern in _ANY_NAME:  # may belong to any tool: take only those with the keys of COCO
            found = [path for path in found if all(f'"{key}"'.encode() in _ascii(path) for key in _NEEDED)]
        if found:
            return found
    return []


@dataclass(frozen=True)
class _CocoFile:
    path: Path
    split: str
    data: dict[str, Any]


def read(root: Path) -> Dataset:
    """Read a folder, or one JSON file.

    If several files describe the same images (captions, keypoints, instances), the instances file is used.

    Raises:
        DatasetError: damaged JSON, files that contradict each other, a key or a category missing.
    """
    findings = Findings()
    given = root.is_file()
    files = [_open(path) for path in ([root] if given else _candidates(root))]
    home = root
    if given:
        home = root.parent.parent if root.parent.name == "annotations" else root.parent
        if isinstance(files[0], str):
            raise DatasetError(f"{root} {files[0]}")
    chosen = _with_boxes(root, [file for file in files if isinstance(file, _CocoFile)])
    for path, file in zip([root] if given else _candidates(root), files, strict=True):
        if isinstance(file, str):
            findings.noted("files", "JSON without boxes (not used)", 1, f"{path.name}: {file}")
        elif file not in chosen:
            findings.noted("files", "further JSON for the images of an instances file (not used)", 1, path)
    groups = _groups(chosen)
    findings.noted("classes", "groups of other classes, without boxes (left out)", len(groups), ", ".join(groups))
    classes: dict[str, int] = {}
    for file in chosen:
        names = list(_categories(file).values())
        findings.noted("classes", "with several ids (joined)", len(names) - len(set(names)), file.path.name)
        for name in names:
            if name not in groups:
                classes.setdefault(name, len(classes))
    index = ImageIndex(home)
    samples = [sample for file in chosen for sample in _samples(file, index, classes, findings)]
    return Dataset(home, tuple(classes), tuple(samples), findings)


def _open(path: Path) -> _CocoFile | str:
    """A file with boxes, or the reason why it has none.

    Raises:
        DatasetError: it is not JSON.
    """
    try:
        data = json.loads(read_text(path))
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    missing = [key for key in _NEEDED if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if missing:
        return f"is not COCO JSON with boxes: it has no list {', '.join(map(repr, missing))}"
    for key in _NEEDED:
        if not all(isinstance(item, dict) for item in data[key]):
            raise DatasetError(f"{path}: not all of {key!r} are JSON objects")
    if data["annotations"] and not any("bbox" in item or "segmentation" in item for item in data["annotations"]):
        return "is not COCO JSON with boxes: its annotations have neither 'bbox' nor 'segmentation'"
    split = split_in(path.stem) or split_named(path.parent.name) or "train"
    return _CocoFile(path, split, data)


def _with_boxes(root: Path, files: list[_CocoFile]) -> list[_CocoFile]:
    """One file for every image: the instances file if there are several.

    Raises:
        DatasetError: none has boxes, or several describe the same images and none is called instances.
    """
    if not files:
        raise DatasetError(f"{root} has no COCO JSON file with images, annotations and categories")
    chosen: list[_CocoFile] = []
    taken: dict[tuple[str, str], _CocoFile] = {}
    for file in sorted(files, key=lambda file: "instances" not in file.path.stem):
        names = [(file.split, str(image.get("file_name"))) for image in file.data["images"]]
        rival = next((taken[name] for name in names if name in taken), None)
        if rival is None:
            chosen.append(file)
            taken |= dict.fromkeys(names, file)
        elif ("instances" in rival.path.stem) == ("instances" in file.path.stem):
            raise DatasetError(
                f"{rival.path.name} and {file.path.name} annotate the same images; pass one of the files as data set"
            )
    return sorted(chosen, key=lambda file: str(file.path))


def _categories(file: _CocoFile) -> dict[str, str]:
    """Names by id (as text), in numerical order of the ids."""
    found: dict[str, str] = {}
    try:
        for item in file.data["categories"]:
            key, name = _id(item["id"]), class_name(item["name"])
            if found.get(key, name) != name:
                raise DatasetError(f"{file.path}: category {key} is called {found[key]!r} and {name!r}")
            found[key] = name
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{file.path}: a category has no id or no name ({error})") from error
    return dict(
        sorted(found.items(), key=lambda pair: (not pair[0].isdigit(), int(pair[0]) if pair[0].isdigit() else 0))
    )


def _groups(files: Iterable[_CocoFile]) -> list[str]:
    """Categories that only group others: without a box, and the supercategory of another (Roboflow's category 0)."""
    known, used, grouping = set(), set(), set()
    for file in files:
        names = _categories(file)
        known |= set(names.values())
        used |= {names.get(_id(item.get("category_id"))) for item in file.data["annotations"]}
        for item in file.data["categories"]:
            if (group := class_name(str(item.get("supercategory") or ""))) != class_name(item["name"]):
                grouping.add(group)
    return sorted((grouping - used) & known)


def _samples(file: _CocoFile, index: ImageIndex, classes: dict[str, int], findings: Findings) -> list[Sample]:
    names = _categories(file)
    by_image: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in file.data["annotations"]:
        by_image[_id(item.get("image_id"))].append(item)
    near = _near(index.root, file)
    found, seen = [], set()
    for image in file.data["images"]:
        key = _id(image.get("id"))
        if key in seen:
            raise DatasetError(f"{file.path}: two images have the id {key}")
        seen.add(key)
        items = by_image.pop(key, [])
        try:
            path = index.find(str(image.get("file_name", "")), near)
        except ImageNotFound as reason:
            findings.dropped("images", str(reason), 1, image.get("file_name"))
            findings.dropped("boxes", str(reason), len(items), image.get("file_name"))
            continue
        found.append(_sample(file, path, image, items, names, classes, findings))
    lost = sum(map(len, by_image.values()))
    findings.dropped(
        "boxes", "image_id is not in the file's list of images", lost, f"{file.path.name}: {next(iter(by_image), '')}"
    )
    return found


def _sample(
    file: _CocoFile, path: Path, image: dict[str, Any], items: Sequence[dict[str, Any]], names: dict[str, str],
    classes: dict[str, int], findings: Findings,
) -> Sample:  # fmt: skip
    boxes, labels, crowd, difficult = [], [], [], []
    for item in items:
        example = f"{file.path.name}: annotation {item.get('id')}"
        name = names.get(_id(item.get("category_id")))
        box = _box(item, _size(image))
        if name is None or box is None:
            reason = _BAD_BOX if item.get("bbox") else _NO_BOX
            reason = "category_id is not in the file's list of categories" if name is None else reason
            findings.dropped("boxes", reason, 1, example)
            continue
        if apart(item.get("segmentation"), box):
            findings.dropped("boxes", "bbox and segmentation do not overlap", 1, example)
            continue
        findings.repaired("boxes", _OUTLINED, int(not item.get("bbox")), example)
        boxes.append(box)
        labels.append(classes[name])
        crowd.append(findings.flag("iscrowd", item.get("iscrowd"), example))
        difficult.append(findings.flag("ignore", item.get("ignore"), example))  # an ignore region of one object
    return Sample.make(path, _size(image), file.split, boxes, labels, difficult, crowd)


def _id(value: object) -> str:
    """An id as text: tools write 7, "7" or 7.0 for the same id."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _size(image: dict[str, Any]) -> tuple[int, int]:
    try:
        width, height = int(image["width"]), int(image["height"])
    except (KeyError, TypeError, ValueError):
        return 0, 0
    return (width, height) if width > 0 and height > 0 else (0, 0)


def _box(item: dict[str, Any], size: tuple[int, int]) -> Box | None:
    """Corners from ``bbox``, else from the outline: polygons or a run-length mask."""
    if not item.get("bbox"):
        return outline_box(item.get("segmentation"), size)
    try:
        x, y, width, height = map(float, item["bbox"])
    except (TypeError, ValueError):
        return None
    return x, y, x + width, y + height


def _near(home: Path, file: _CocoFile) -> Iterable[Path]:
    """Folders where the images may be: named like the JSON file or its split, images/, next to the JSON file."""
    named = file.path.stem.replace("instances_", "").replace("_annotations.coco", "")
    names = [name for name in dict.fromkeys((named, file.split)) if name]
    split_folders = [path for path in sorted(home.glob("*")) if path.is_dir() and split_named(path.name) == file.split]
    return (
        *([file.path.parent] if file.path.parent.name != "annotations" else []),
        *(home / name for name in names), *(home / "images" / name for name in names), *split_folders, home / "images",
    )  # fmt: skip
