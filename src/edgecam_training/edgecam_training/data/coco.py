"""COCO: ``annotations/*.json`` (``instances_train2017.json``, ``val.json``, ...) beside the folders of images.

A box is x, y, width, height in pixels with edges counted from 0. ``iscrowd`` becomes difficult.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.errors import DatasetError


def fits(root: Path) -> bool:
    return root.suffix == ".json" or bool(_files(root))


def read(root: Path) -> Dataset:
    """Read a folder with ``annotations/``, or one JSON file.

    Raises:
        DatasetError: damaged JSON, a missing key, class lists that differ between splits, a missing category.
    """
    files = [root] if root.is_file() else _files(root)
    home = root.parent if root.is_file() else root
    classes: tuple[str, ...] = ()
    samples: list[Sample] = []
    for file in files:
        try:
            data = json.loads(file.read_text())
            categories = {item["id"]: item["name"] for item in data["categories"]}
            names = tuple(categories[key] for key in sorted(categories))
            if classes and names != classes:
                raise DatasetError(f"{file} has other categories than {files[0]}")
            classes = names
            samples += _samples(home, file, data, {key: index for index, key in enumerate(sorted(categories))})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{file} is not COCO JSON: {type(error).__name__} {error}") from error
    return Dataset(home, classes, tuple(samples))


def _files(root: Path) -> list[Path]:
    return sorted((root / "annotations").glob("*.json"))


def _samples(home: Path, file: Path, data: dict[str, Any], numbers: dict[int, int]) -> list[Sample]:
    split = next((name for name in ("train", "val", "test") if name in file.stem), "train")
    folder = _folder(home, file, data["images"])
    by_image = defaultdict(list)
    for item in data["annotations"]:
        by_image[item["image_id"]].append(item)
    found = []
    for image in data["images"]:
        items = by_image[image["id"]]
        boxes = [(x, y, x + width, y + height) for x, y, width, height in (item["bbox"] for item in items)]
        labels = [numbers[item["category_id"]] for item in items]
        crowd = [bool(item.get("iscrowd", 0)) for item in items]
        size = (int(image["width"]), int(image["height"]))
        found.append(Sample.make(folder / image["file_name"], size, split, boxes, labels, crowd))
    return found


def _folder(home: Path, file: Path, images: list[dict[str, Any]]) -> Path:
    """Where the images are: a folder named like the JSON's split, ``images/<split>``, ``images`` or here."""
    split = file.stem.replace("instances_", "").replace("_annotations.coco", "")
    places = [home / split, home / "images" / split, home / "images", home]
    if not images:
        return home
    return next((place for place in places if (place / images[0]["file_name"]).is_file()), places[0])
