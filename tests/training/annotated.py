"""Small data sets as common tools write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (160, 120)
Box = tuple[float, float, float, float]


def write_image(path: Path, size: tuple[int, int] = SIZE, orientation: int = 1, box: Box | None = None) -> Path:
    """Grey with a white box, ``size`` and ``box`` in stored pixels, with an EXIF orientation."""
    pixels = np.full((size[1], size[0], 3), 60, np.uint8)
    if box:
        x1, y1, x2, y2 = map(int, box)
        pixels[y1:y2, x1:x2] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, quality=95)
    return path


def xml(filename: str, objects: list[tuple[str, Box]], size: tuple[int, int] | None = SIZE, difficult: int = 0) -> str:
    """One VOC annotation; ``objects`` are edges counted from 0."""
    found = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1 + 1}</xmin>"
        f"<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, (x1, y1, x2, y2) in objects
    )
    measure = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{measure}{found}</annotation>"


def write_voc(root: Path, names: list[str], *, split: str = "train", suffix: str = ".jpg") -> Path:
    """Every image has one cat; ids may contain folders and spaces."""
    for number, name in enumerate(names):
        write_image(root / "JPEGImages" / f"{name}{suffix}")
        file = root / "Annotations" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(xml(f"{Path(name).name}{suffix}", [("cat", (10 + number, 20, 50, 60))]))
    write_list(root, split, names)
    return root


def write_list(root: Path, split: str, lines: list[str]) -> None:
    file = root / "ImageSets" / "Main" / f"{split}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def coco(
    images: list[tuple[Any, str]],
    annotations: list[tuple[Any, Any, list[float]]],
    categories: dict[Any, str],
    **more: Any,
) -> str:
    """(id, file), (image id, category id, bbox), id -> name."""
    return json.dumps(
        {
            "images": [{"id": i, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for i, name in images],
            "annotations": [
                {"id": n, "image_id": image, "category_id": kind, "bbox": box, "iscrowd": 0}
                for n, (image, kind, box) in enumerate(annotations)
            ],
            "categories": [{"id": i, "name": name} for i, name in categories.items()],
        }
    )


def write_yolo(root: Path, config: str, lines: dict[str, str], folder: str = "images") -> Path:
    """``lines`` by image path below ``images/`` without suffix."""
    for name, text in lines.items():
        write_image(root / folder / f"{name}.jpg")
        file = root / folder.replace("images", "labels") / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "data.yaml").write_text(config)
    return root
