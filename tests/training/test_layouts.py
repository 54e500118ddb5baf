"""All layouts give the same data set; bad data is repaired with a note or refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_training.data import manifest, stats
from edgecam_training.data.checks import read_image, tidy_boxes
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError
from shapes import CLASSES, shape_image


def _voc(root: Path, dataset: Dataset) -> None:
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    (root / "labels.txt").write_text("BACKGROUND\n" + "\n".join(dataset.classes) + "\n")
    for split in ("train", "val"):
        ids = [sample.path.stem for sample in dataset.split(split).samples]
        (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(ids) + "\n")
    for sample in dataset.samples:
        objects = "".join(
            f"<object><name>{dataset.classes[label]}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1:.0f}</xmin>"
            f"<ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax></bndbox></object>"
            for (x1, y1, x2, y2), label in zip(sample.boxes, sample.labels, strict=True)
        )
        (root / "Annotations" / f"{sample.path.stem}.xml").write_text(
            f"<annotation><filename>{sample.path.name}</filename><size><width>160</width><height>120</height></size>"
            f"{objects}</annotation>"
        )
        (root / "JPEGImages" / sample.path.name).write_bytes(sample.path.read_bytes())


def _coco(root: Path, dataset: Dataset) -> None:
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        part = dataset.split(split)
        images, annotations = [], []
        for number, sample in enumerate(part.samples):
            images.append({"id": number, "file_name": sample.path.name, "width": 160, "height": 120})
            for (x1, y1, x2, y2), label in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True):
                annotations.append({"image_id": number, "category_id": label * 10, "bbox": [x1, y1, x2 - x1, y2 - y1]})
            (root / split).mkdir(exist_ok=True)
            (root / split / sample.path.name).write_bytes(sample.path.read_bytes())
        categories = [{"id": i * 10, "name": name} for i, name in enumerate(dataset.classes)]
        data = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(data))


def _yolo(root: Path, dataset: Dataset) -> None:
    for sample in dataset.samples:
        for folder in ("images", "labels"):
            (root / folder / sample.split).mkdir(parents=True, exist_ok=True)
        (root / "images" / sample.split / sample.path.name).write_bytes(sample.path.read_bytes())
        centre = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 / [160, 120]
        size = (sample.boxes[:, 2:] - sample.boxes[:, :2]) / [160, 120]
        lines = [
            " ".join([str(label), *(f"{v:.8f}" for v in (*c, *s))])
            for label, c, s in zip(sample.labels, centre, size, strict=True)
        ]
        (root / "labels" / sample.split / f"{sample.path.stem}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text(f"names: {list(dataset.classes)}\ntrain: images/train\nval: images/val\n")


@pytest.mark.parametrize("write", [_voc, _coco, _yolo])
def test_layouts_agree(write: object, shapes: Path, tmp_path: Path) -> None:
    original = load(shapes)
    write(tmp_path / "other", original)  # type: ignore[operator]
    other = load(tmp_path / "other")
    assert other.classes == CLASSES
    assert other.counts() == original.counts() == {"train": 8, "val": 4}
    mine = {sample.path.stem: sample for sample in other.samples}
    for sample in original.samples:
        same = mine[sample.path.stem]
        assert same.path.is_file()
        assert same.split == sample.split
        assert same.labels.tolist() == sample.labels.tolist()
        np.testing.assert_allclose(same.boxes, sample.boxes, atol=1e-3)


def test_manifest_is_reproducible_and_keeps_facts(shapes: Path, tmp_path: Path) -> None:
    dataset = load(shapes)
    marked = [replace(s, facts={"licence": "CC0-1.0"}, path=tmp_path / s.path.name) for s in dataset.samples]
    first = manifest.write(tmp_path, dataset.classes, marked).read_bytes()
    again = manifest.read(tmp_path)
    assert again.samples[0].facts == {"licence": "CC0-1.0"}
    assert manifest.write(tmp_path, again.classes, again.samples).read_bytes() == first


def test_bad_boxes_are_repaired_and_counted() -> None:
    boxes = [(50, 40, 10, 20), (-30, 0, 20, 20), (10, 10, 10, 30), (float("nan"), 0, 5, 5)]
    sample = Sample.make(Path("x.jpg"), (100, 80), "train", boxes, [0, 0, 0, 0])
    findings = Findings()
    assert tidy_boxes(sample, findings).boxes.tolist() == [[10, 20, 50, 40], [0, 0, 20, 20]]
    assert findings.counts() == {
        "repaired boxes: corners inverted: swapped": 1,
        "repaired boxes: reach outside the image: clipped": 1,
        "dropped boxes: a coordinate is not a number": 1,
        "dropped boxes: smaller than a pixel": 1,
    }


def test_empty_split_names_the_others(shapes: Path) -> None:
    with pytest.raises(DatasetError, match=r"'test' is empty; there are train \(8\), val \(4\)"):
        load(shapes).split("test")


def test_unknown_folder_and_damaged_manifest(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no known layout"):
        load(tmp_path)
    head = '{"format": "edgecam-dataset", "version": 1, "classes": ["a"]}'
    (tmp_path / "manifest.jsonl").write_text(head + '\n{"image": "x"}\n')
    with pytest.raises(DatasetError, match="line 2"):
        load(tmp_path)


def test_cut_jpeg_is_left_out(tmp_path: Path) -> None:
    image, boxes, labels = shape_image(1)
    good, data = cv2.imencode(".jpg", image)
    assert good
    for name, content in (("whole", data.tobytes()), ("whole2", data.tobytes()), ("cut", data.tobytes()[:-400])):
        (tmp_path / f"{name}.jpg").write_bytes(content)
    assert read_image(tmp_path / "cut.jpg") is None
    samples = [
        Sample.make(tmp_path / f"{name}.jpg", (160, 120), "train", boxes, labels) for name in ("cut", "whole", "whole2")
    ]
    cache = ImageCache.build(Dataset(tmp_path, CLASSES, tuple(samples)), 64)
    assert len(cache) == len(cache.images) == 2
    assert [sample.path for sample in cache.broken] == [tmp_path / "cut.jpg"]
    with pytest.raises(DatasetError, match="none of 1 images can be read"):
        ImageCache.build(Dataset(tmp_path, CLASSES, (samples[0],)), 64)


def test_stats_find_duplicates_and_absent_classes(tmp_path: Path) -> None:
    image, boxes, _ = shape_image(2)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.png"), image)
    samples = (
        Sample.make(tmp_path / "a.png", (160, 120), "train", boxes[:1], [0]),
        Sample.make(tmp_path / "b.png", (160, 120), "val", boxes[:1], [1]),
    )
    found = stats.measure(Dataset(tmp_path, ("disc", "square"), samples))
    assert found.absent == (("train", "square"), ("val", "disc"))
    assert len(found.duplicates) == 1
    text = stats.text(found)
    assert "square: no data" in text
    assert "disc: 1/1 = 1.00" in text
    assert "the same image in several splits" in text


def test_class_lists_are_renumbered_or_refused(shapes: Path) -> None:
    dataset = load(shapes)
    turned = dataset.with_classes(("cross", "square", "disc", "star"))
    assert [turned.classes[label] for label in turned.samples[1].labels] == [
        dataset.classes[label] for label in dataset.samples[1].labels
    ]
    with pytest.raises(DatasetError, match="does not have"):
        dataset.with_classes(("disc",))
