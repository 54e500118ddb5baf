"""Box coordinates in another order than the format's are refused: clipped or swapped, they would be wrong boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated import SIZE, coco, write_image, write_list, write_yolo, xml
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError

WIDE, HIGH = SIZE
# Corners of objects all over an image of 160 x 120.
BOXES = [(5.0, 5.0, 60.0, 50.0), (80.0, 60.0, 150.0, 110.0), (60.0, 50.0, 120.0, 90.0), (100.0, 10.0, 155.0, 70.0)] * 2


def _yolo(root: Path, rows: list[tuple[float, ...]]) -> Path:
    sides = (WIDE, HIGH, WIDE, HIGH)
    lines = [" ".join(f"{value / side:.6f}" for value, side in zip(row, sides, strict=True)) for row in rows]
    return write_yolo(root, "names: [cat]\ntrain: images\n", {"a": "".join(f"0 {line}\n" for line in lines)})


def _coco(root: Path, rows: list[tuple[float, ...]]) -> Path:
    write_image(root / "images" / "a.jpg")
    (root / "annotations").mkdir()
    text = coco([(1, "a.jpg")], [(1, 1, list(row)) for row in rows], {1: "cat"})
    (root / "annotations" / "instances_train.json").write_text(text)
    return root


def _voc(root: Path, rows: list[tuple[float, ...]]) -> Path:
    write_image(root / "JPEGImages" / "a.jpg")
    (root / "Annotations").mkdir()
    boxes = [("cat", (row[0], row[1], row[2], row[3])) for row in rows]
    (root / "Annotations" / "a.xml").write_text(xml("a.jpg", boxes))
    write_list(root, "train", ["a"])
    return root


def corners(box: tuple[float, ...]) -> tuple[float, ...]:
    return box


def sized(box: tuple[float, ...]) -> tuple[float, ...]:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def centred(box: tuple[float, ...]) -> tuple[float, ...]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


@pytest.mark.parametrize(
    ("write", "order", "message"),
    [
        (_coco, corners, "x1 y1 x2 y2 instead of x y width height"),
        (_coco, centred, "a centre and a size instead of x y width height"),
        (_yolo, corners, "x1 y1 x2 y2 instead of a centre and a size"),
        (_yolo, sized, "x y width height instead of a centre and a size"),
        (_voc, sized, "x y width height instead of x1 y1 x2 y2"),
    ],
)
def test_another_order_is_refused(tmp_path: Path, write: object, order: object, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"[2-8] of 8 boxes .* all would fit if the annotations hold {message}"):
        load(write(tmp_path, [order(box) for box in BOXES]))  # type: ignore[operator]


@pytest.mark.parametrize(("write", "order"), [(_coco, sized), (_yolo, centred), (_voc, corners)])
def test_the_stated_order_is_read_unchanged(tmp_path: Path, write: object, order: object) -> None:
    (sample,) = load(write(tmp_path, [order(box) for box in BOXES[:4]])).samples  # type: ignore[operator]
    assert sample.boxes == pytest.approx(np.array(BOXES[:4]), abs=0.01)


def test_cut_objects_and_inverted_corners_alone_are_repaired(tmp_path: Path) -> None:
    """Only the stated order fits all of them."""
    outside = [(-20.0, 5.0, 60.0, 50.0), (120.0, 60.0, 190.0, 110.0), (60.0, 100.0, 120.0, 140.0)]
    counts = load(_voc(tmp_path / "a", [*BOXES[:4], *outside])).findings.counts()
    assert counts["repaired boxes: reach outside the image: clipped"] == 3
    inverted = [(box[2], box[3], box[0], box[1]) for box in BOXES[:4]]
    counts = load(_voc(tmp_path / "b", [*BOXES[:4], *inverted])).findings.counts()
    assert counts["repaired boxes: corners inverted: swapped"] == 4


def test_negative_sizes_are_inverted_corners_and_no_other_order(tmp_path: Path) -> None:
    """They would fit as x y width height instead of corners too, but YOLO never has corners."""
    boxes = [(0.6 * WIDE, 0.5 * HIGH, -0.2 * WIDE, 0.2 * HIGH)] * 5
    findings = load(_yolo(tmp_path, [(*box[:3], box[3] + number) for number, box in enumerate(boxes)])).findings
    assert findings.counts()["repaired boxes: corners inverted: swapped"] == 5
