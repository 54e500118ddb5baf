"""Pascal VOC: ``JPEGImages/``, ``Annotations/*.xml``, ``ImageSets/Main/<split>.txt``.

VOC counts pixels from 1 and means the outer pixels inside the box: x1 - 1, y1 - 1, x2, y2 are edges here.
``labels.txt`` (one class a line) gives the order of classes where it exists, else they are sorted by name.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.errors import DatasetError

_SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test", "trainval": "train"}


def fits(root: Path) -> bool:
    return (root / "Annotations").is_dir()


def read(root: Path) -> Dataset:
    """Read one VOC folder.

    Raises:
        DatasetError: no annotations, a damaged XML file, or a class missing from labels.txt.
    """
    splits = _splits(root)
    files = sorted((root / "Annotations").glob("*.xml"))
    if not files:
        raise DatasetError(f"{root / 'Annotations'} holds no XML file")
    notes: Counter[str] = Counter()
    parsed = []
    for file in files:
        try:
            parsed.append((file, ElementTree.parse(file).getroot()))
        except ElementTree.ParseError as error:
            raise DatasetError(f"{file} is not XML: {error}") from error
    classes = _classes(root, [tree for _, tree in parsed])
    samples = []
    for file, tree in parsed:
        if file.stem not in splits:
            notes["annotations in no split (left out)"] += 1
            continue
        samples.append(_sample(root, file, tree, splits[file.stem], classes))
    return Dataset(root, classes, tuple(samples), dict(notes))


def _splits(root: Path) -> dict[str, str]:
    """Image id -> split. Without ImageSets everything is for training. trainval counts only where train is absent."""
    lists = {file.stem: file.read_text().split("\n") for file in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
    if not lists:
        return {file.stem: "train" for file in (root / "Annotations").glob("*.xml")}
    found: dict[str, str] = {}
    for name in ("trainval", "train", "val", "validation", "test"):  # later ones win
        for line in lists.get(name, ()):
            if line.strip():
                found[line.split()[0]] = _SPLITS[name]
    return found


def _classes(root: Path, trees: list[ElementTree.Element]) -> tuple[str, ...]:
    used = {node.findtext("name", "") for tree in trees for node in tree.iter("object")}
    file = root / "labels.txt"
    if not file.is_file():
        return tuple(sorted(used))
    names = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    classes = tuple(name for name in names if name.upper() != "BACKGROUND")
    if used - set(classes):
        raise DatasetError(f"{file} does not list {', '.join(sorted(used - set(classes)))}, which have boxes")
    return classes


def _sample(root: Path, file: Path, tree: ElementTree.Element, split: str, classes: tuple[str, ...]) -> Sample:
    try:
        size = tuple(int(float(tree.findtext(f"size/{key}", ""))) for key in ("width", "height"))
        boxes, labels, difficult = [], [], []
        for node in tree.iter("object"):
            x1, y1, x2, y2 = (float(node.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((x1 - 1, y1 - 1, x2, y2))
            labels.append(classes.index(node.findtext("name", "")))
            difficult.append(node.findtext("difficult", "0").strip() == "1")
    except ValueError as error:
        raise DatasetError(f"{file}: a size or a box is missing or no number ({error})") from error
    name = tree.findtext("filename") or f"{file.stem}.jpg"
    return Sample.make(root / "JPEGImages" / name, (size[0], size[1]), split, boxes, labels, difficult)
