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

"""Pascal VOC: XML files in ``Annotations/``, lists in ``ImageSets/Main/<split>.txt``, images in ``JPEGImages/``.

Also variants written by tools: XML files next to the images in ``train/``, ``valid/`` and ``test/`` (Roboflow), in
``annotations/`` next to ``images/``, with CVAT's ``default.txt``. VOC counts pixels from 1 and includes the outermost
pixels in the box: x1 - 1, y1 - 1, x2, y2 are edges here. ``labels.txt`` (one class per line) defines the class order
if it exists, otherwise classes are sorted by name. An object may have a polygon (LabelMe) or a rotated box (roLabelImg)
instead of a box. Namespaces and the case of element names do not matter.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgecam_core.models.labels import starts_with_background

from edgecam_training.data.dataset import SPLITS, Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import OUTSIDE, ImageIndex, ImageNotFound, hidden, normal
from edgecam_training.data.splits import split_named
from edgecam_training.data.text_files import class_name, decode_xml, flag, read_lines
from edgecam_training.data.voc_shapes import boxes_of, only
from edgecam_training.errors import DatasetError

_FLAG = re.compile(r"\s+-?[01]$")  # the class lists of VOC itself: "000012  1"
_SUFFIX = re.compile(r"\.[A-Za-z]{2,4}$")
_CONTRADICTS = "<filename> names another image than the XML file's own name: own name used"
_DELETED = "deleted in the annotation tool (left out)"
_UNREADABLE = "in XML files that cannot be read (at least one each)"


def fits(root: Path) -> bool:
    return root.is_dir() and bool(_folders(root))


def _folders(root: Path) -> list[Path]:
    """The folders with XML files: Annotations/, else next to the images of each split, else the folder itself."""
    named = [root / name for name in ("Annotations", "annotations") if _has_xml(root / name)]
    if named:
        return named[:1]
    splits = [path for path in sorted(root.iterdir()) if path.is_dir() and split_named(path.name)]
    return [path for path in splits if _has_xml(path)] or ([root] if _has_xml(root, deep=False) else [])


def _has_xml(folder: Path, deep: bool = True) -> bool:
    files = folder.rglob("*.xml") if deep else folder.glob("*.xml")
    return folder.is_dir() and any(not hidden(file) for file in files)


@dataclass(frozen=True)
class _VocFile:
    """One XML file: ``id`` is its path below its folder without suffix."""

    path: Path
    id: str
    tree: ElementTree.Element


def read(root: Path) -> Dataset:
    """Read one VOC folder.

    Raises:
        DatasetError: lists of unknown names only, or a class missing from labels.txt.
    """
    findings = Findings()
    folders = _folders(root)
    files = _parsed(folders, findings)
    splits = _splits(root, folders, files, findings)
    classes = _classes(root, files)
    index = ImageIndex(root)
    own = {file.id for file in files} | {PurePosixPath(file.id).name for file in files}
    samples = []
    for file in files:
        split = splits.get(file.id)
        if split is None:
            findings.noted("files", "annotations in no list of ImageSets/Main (left out)", 1, file.path)
            continue
        samples += _sample(file, split, classes, _Images(root, index, own), findings)
    return Dataset(root, classes, tuple(samples), findings)


def _parsed(folders: Iterable[Path], findings: Findings) -> list[_VocFile]:
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*.xml")):
            if hidden(path):
                continue
            try:
                tree = _parse(path)
            except (ElementTree.ParseError, DatasetError, OSError) as error:
                findings.dropped("boxes", _UNREADABLE, 1, f"{path}: {error}")
                continue
            if tree.tag == "annotation":
                found.append(_VocFile(path, path.relative_to(folder).with_suffix("").as_posix(), tree))
            else:
                findings.noted("files", f"XML files of another kind, <{tree.tag}> (not used)", 1, path)
    return found


def _parse(path: Path) -> ElementTree.Element:
    tree = ElementTree.fromstring(decode_xml(path.read_bytes(), path))
    for node in tree.iter():
        node.tag = node.tag.rpartition("}")[2].lower()
    return tree


def _splits(root: Path, folders: list[Path], files: list[_VocFile], findings: Findings) -> dict[str, str]:
    """Split by id: from the lists, else from the split folder of the XML file, else everything is for training."""
    lists = _lists(root)
    if not lists:
        return {file.id: _folder_split(root, file.path) for file in files}
    known = {name: split for name in lists if (split := split_named(name))}
    if not known:
        raise DatasetError(
            f"{root / 'ImageSets' / 'Main'} has no list of a known split, only {', '.join(list(lists)[:5])}; name the "
            "lists train.txt, val.txt and test.txt"
        )
    ids = _Ids(files)
    found: dict[str, str] = {}
    origin: dict[str, str] = {}
    # trainval applies only to images in no other list: later lists take precedence.
    for name in sorted(known, key=lambda name: ("trainval", "default", "train", "val", "test").index(known[name])):
        for line in read_lines(lists[name]):
            match = ids.find(line)
            if match is None:
                findings.dropped("images", "listed, but without an annotation", 1, f"{lists[name].name}: {line}")
            else:
                split = {"trainval": "train", "default": "train"}.get(known[name], known[name])
                if known[name] in SPLITS and origin.setdefault(match, split) == "train" != split:
                    findings.noted("images", f"in the list of 'train' too: used in '{split}'", 1, match)
                found[match] = split
    return found


def _lists(root: Path) -> dict[str, Path]:
    """Lists of images by name: in ImageSets/Main, else files named like a split in ImageSets or the root."""
    main = {path.stem: path for path in sorted((root / "ImageSets" / "Main").glob("*.txt")) if not hidden(path)}
    for folder in (root / "ImageSets", root):
        main = main or {path.stem: path for path in sorted(folder.glob("*.txt")) if split_named(path.stem)}
    return main


def _folder_split(root: Path, path: Path) -> str:
    parts = path.relative_to(root).parts[:-1]
    return next((split for part in parts if (split := split_named(part))), "train").replace("trainval", "train")


class _Ids:
    """Annotations by the names that a list may use: id, path with folder or suffix, id with a class flag."""

    def __init__(self, files: Iterable[_VocFile]) -> None:
        self._ids = {normal(file.id): file.id for file in files}
        names = [PurePosixPath(name).name for name in self._ids]
        self._by_name = {PurePosixPath(name).name: own for name, own in self._ids.items()}
        self._ambiguous = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()

    def find(self, line: str) -> str | None:
        pair = line.split()[0] if len(line.split()) == 2 else ""  # "JPEGImages/a.jpg Annotations/a.xml"
        for text in (line, _FLAG.sub("", line), pair):
            written = normal(text.strip().strip("\"'").replace("\\", "/").removeprefix("./"))
            for candidate in (written, _SUFFIX.sub("", written)):
                if candidate in self._ids:
                    return self._ids[candidate]
                name = PurePosixPath(candidate).name
                if name in self._by_name and name not in self._ambiguous:
                    return self._by_name[name]
        return None


def _name(node: ElementTree.Element) -> str:
    """The class of an object; empty if it has none or several."""
    return class_name(only(node, "name"))


def _objects(file: _VocFile) -> list[ElementTree.Element]:
    return [node for node in file.tree.iter("object") if not flag(node.findtext("deleted"))]


def _classes(root: Path, files: list[_VocFile]) -> tuple[str, ...]:
    used = {_name(node) for file in files for node in _objects(file)} - {""}
    path = root / "labels.txt"
    if not path.is_file():
        return tuple(sorted(used))
    classes = tuple(class_name(name) for name in read_lines(path) if not name.startswith("#"))
    classes = classes[starts_with_background(classes) :]
    if len(set(classes)) < len(classes):
        twice = sorted({name for name in classes if classes.count(name) > 1})
        raise DatasetError(f"{path} lists {', '.join(twice)} more than once; a class has one line")
    if used - set(classes):
        raise DatasetError(f"{path} does not list {', '.join(sorted(used - set(classes)))}, which have boxes")
    return classes


def _sample(file: _VocFile, split: str, classes: tuple[str, ...], images: _Images, findings: Findings) -> list[Sample]:
    """The image of one XML file with its boxes; None if no image belongs to it."""
    objects = _objects(file)
    findings.noted("boxes", _DELETED, sum(1 for _ in file.tree.iter("object")) - len(objects), file.path)
    try:
        path = images.of(file, findings)
    except ImageNotFound as error:
        findings.dropped("images", str(error), 1, file.path)
        findings.dropped("boxes", str(error), len(objects), file.path)
        return []
    boxes, labels, difficult = [], [], []
    for node in objects:
        found = boxes_of(node, file.path, findings)
        if not _name(node):
            findings.dropped("boxes", "no class name, or several", len(found), file.path)
            continue
        boxes += found
        labels += [classes.index(_name(node))] * len(found)
        difficult += [findings.flag("difficult", node.findtext("difficult"), file.path.name)] * len(found)
    return [Sample.make(path, _size(file.tree), split, boxes, labels, difficult)]


def _size(tree: ElementTree.Element) -> tuple[int, int]:
    """Width and height, 0 x 0 if the file has none."""
    try:
        width, height = (int(float(tree.findtext(f"size/{key}") or 0)) for key in ("width", "height"))
    except ValueError:
        return 0, 0
    return (width, height) if width > 0 and height > 0 else (0, 0)


class _Images:
    """Finds the image of an XML file."""

    def __init__(self, root: Path, index: ImageIndex, own: set[str]) -> None:
        self._root, self._index, self._own = root, index, own

    def of(self, file: _VocFile, findings: Findings) -> Path:
        """The image with the name of the XML file; if there is none, the one in its ``<filename>``.

        Raises:
            ImageNotFound: neither exists, or that image has its own XML file.
        """
        written = (file.tree.findtext("filename") or "").strip()
        near = (
            self._root / "JPEGImages" / PurePosixPath(file.id).parent, self._root / "JPEGImages", file.path.parent,
            self._root / "images",
        )  # fmt: skip
        try:
            own = self._index.find_stem(file.id, near)
        except ImageNotFound:
            named = self._index.find(written or file.id, near)
            if named.stem != file.path.stem and named.stem in self._own:
                raise ImageNotFound("<filename> names the image of another XML file") from None
            return named
        if written and PurePosixPath(written.replace("\\", "/")).stem != own.stem:
            try:
                if self._index.find(written, near) != own:
                    findings.repaired("images", _CONTRADICTS, 1, f"{file.path.name}: {written}")
            except ImageNotFound as reason:
                if str(reason) == OUTSIDE:
                    findings.repaired("images", f"{OUTSIDE}: own name used", 1, f"{file.path.name}: {written}")
        return own
