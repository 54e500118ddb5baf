"""YOLO: ``data.yaml`` (``names``, ``train``, ``val``, ``test``), ``images/<split>/``, ``labels/<split>/*.txt``.

A line is class, centre x, centre y, width, height, as fractions of the image. Sizes come from the images, whose
headers are read; an image that cannot be read is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from edgecam_training.data.checks import read_image
from edgecam_training.data.dataset import SPLITS, Dataset, Sample
from edgecam_training.errors import DatasetError

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def fits(root: Path) -> bool:
    return (root / "data.yaml").is_file()


def read(root: Path) -> Dataset:
    """Read one YOLO folder.

    Raises:
        DatasetError: no usable data.yaml, a class number out of range, a line that is not five numbers.
    """
    file = root / "data.yaml"
    try:
        config: dict[str, Any] = yaml.safe_load(file.read_text())
        names = config["names"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise DatasetError(f"{file} has no list 'names': {error}") from error
    classes = tuple(str(names[key]) for key in sorted(names)) if isinstance(names, dict) else tuple(map(str, names))
    notes: Counter[str] = Counter()
    samples = []
    for split in SPLITS:
        folder = _folder(root, config, split)
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _IMAGES) if folder else []
        for path in images:
            sample = _sample(path, split, len(classes))
            if sample is None:
                notes["images that cannot be read (left out)"] += 1
            else:
                samples.append(sample)
    return Dataset(root, classes, tuple(samples), dict(notes))


def _folder(root: Path, config: dict[str, Any], split: str) -> Path | None:
    named = config.get(split)
    base = root / str(config.get("path", "."))
    places = [base / str(named), root / str(named)] if named else [root / "images" / split]
    return next((place for place in places if place.is_dir()), None)


def _sample(path: Path, split: str, classes: int) -> Sample | None:
    pixels = read_image(path)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    parts = list(path.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    labels_file = Path(*parts).with_suffix(".txt")
    boxes, labels = [], []
    lines = labels_file.read_text().splitlines() if labels_file.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            label, x, y, w, h = (float(item) for item in line.split())
        except ValueError as error:
            raise DatasetError(f"{labels_file}, line {number}: must be five numbers, is {line!r}") from error
        if not 0 <= label < classes:
            raise DatasetError(f"{labels_file}, line {number}: class {label:g}, but data.yaml has {classes}")
        boxes.append(((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height))
        labels.append(int(label))
    return Sample.make(path, (width, height), split, boxes, labels)
