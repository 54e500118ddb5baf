"""Reviews to and from the layouts of other tools: nothing is lost or invented; what a layout cannot store is counted.

The last tests compare with the tools' own libraries, which take 500 MB each. They run if the environment variable
EDGECAM_DATUMARO or EDGECAM_LABEL_STUDIO names a Python with datumaro or label-studio-sdk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import DRAFT, REVIEWED, SKIPPED, Box, KeptFrame, Review
from edgecam_training.data import writing
from edgecam_training.data.dataset import Dataset
from edgecam_training.data.loading import load
from edgecam_training.data.reviews import import_reviews, read_collection
from edgecam_training.errors import DatasetError
from edgecam_training.improve.field import reviewed

SECOND = 1_000_000_000
SIZE = (160, 120)
BOXES = {
    "a": [("cat", (10, 20, 50, 60)), ("dog & co", (0, 0, 160, 120))],
    "b": [],
    "c": [("cat", (100, 30, 159, 119))],
    "d": [("dog & co", (5, 6, 7, 9))],
}
Rows = dict[str, list[tuple[str, tuple[float, ...]]]]


def add(collection: Collection, name: str, number: int) -> None:
    image = np.random.default_rng(number).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    suffix = ".png" if number % 2 else ".jpg"
    frame = KeptFrame(
        name, f"images/front/{name}{suffix}", *SIZE, number * 60 * SECOND, "lens", "front", ({"rule": "novel"},), ()
    )
    collection.add(frame, cv2.imencode(suffix, image)[1].tobytes())


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Four reviewed frames, a skipped one, a draft, and one that has not been opened."""
    kept = Collection.create(tmp_path / "c")
    for number, name in enumerate([*BOXES, "skipped", "draft", "open"], start=1):
        add(kept, name, number)
    for name, boxes in BOXES.items():
        kept.save_review(Review(name, REVIEWED, tuple(Box(label, box) for label, box in boxes)))
    kept.save_review(Review("skipped", SKIPPED))
    kept.save_review(Review("draft", DRAFT, (Box("cat", (1.0, 1.0, 9.0, 9.0)),)))
    return tmp_path / "c"


def rows(dataset: Dataset) -> Rows:
    return {
        sample.path.stem: sorted(
            (dataset.classes[label], tuple(round(value, 1) for value in box))
            for box, label in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True)
        )
        for sample in dataset.samples
    }


def expected() -> Rows:
    return {name: sorted((label, tuple(map(float, box))) for label, box in boxes) for name, boxes in BOXES.items()}


@pytest.mark.parametrize("layout", writing.FORMATS)
def test_reviews_survive_the_round_trip_through_every_layout(layout: str, collection: Path, tmp_path: Path) -> None:
    dataset = read_collection(collection)
    assert {sample.split for sample in dataset.samples} == {"train", "test"}
    assert not writing.write(dataset, layout, tmp_path / "out")
    again = load(tmp_path / "out")
    assert [row.reason for row in again.findings] == ["without boxes, used as background"]
    assert rows(again) == expected()
    assert {sample.path.stem: sample.split for sample in again.samples} == {
        sample.path.stem: sample.split for sample in dataset.samples
    }
    # Into an empty collection, and into the original one, where every frame exists and has a review.
    counts = import_reviews(again, tmp_path / "new")
    assert counts == {"frames added": 4, "reviews": 4}
    assert sorted(len(one.boxes) for one in reviewed(tmp_path / "new")) == [0, 1, 1, 2]
    assert import_reviews(again, tmp_path / "new") == {"already reviewed": 4}
    assert import_reviews(again, collection) == {"already reviewed": 4}
    assert import_reviews(again, collection, again=True) == {"reviews": 4}
    assert rows(read_collection(collection)) == expected()


def test_boxes_drawn_in_another_tool_become_the_reviews_of_the_frames(collection: Path, tmp_path: Path) -> None:
    writing.write(read_collection(collection), "label-studio", tmp_path / "out")
    path = tmp_path / "out" / "tasks.json"
    tasks = json.loads(path.read_text())
    for name in ("open", "draft"):
        source = next((collection / "images").rglob(f"{name}.*"))
        (tmp_path / "out" / "images" / source.name).write_bytes(source.read_bytes())
        value = {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["bird"]}
        result = {"type": "rectanglelabels", "original_width": 160, "original_height": 120, "value": value}
        task = {"data": {"image": f"/data/upload/3/0123abcd-{source.name}"}, "annotations": [{"result": [result]}]}
        tasks.append(task)
    path.write_text(json.dumps(tasks))
    assert import_reviews(load(tmp_path / "out"), collection) == {"already reviewed": 4, "reviews": 2}
    for name in ("open", "draft"):
        review = Collection.open(collection).review(name)
        assert review is not None
        assert (review.state, review.boxes) == (REVIEWED, (Box("bird", (40.0, 60.0, 120.0, 90.0)),))


def test_an_image_of_another_size_is_not_a_review_of_the_frame(collection: Path, tmp_path: Path) -> None:
    writing.write(read_collection(collection), "coco", tmp_path / "out")
    for path in (tmp_path / "out" / "images").rglob("a.*"):
        cv2.imwrite(str(path), np.zeros((50, 50, 3), np.uint8))
    for path in (tmp_path / "out" / "annotations").glob("*.json"):
        document = json.loads(path.read_text())
        for image in document["images"]:
            if image["file_name"].startswith("a."):
                image.update(width=50, height=50)
        path.write_text(json.dumps(document))
    assert import_reviews(load(tmp_path / "out"), collection, again=True)["of another size"] == 1


def test_a_crowd_makes_a_draft_and_is_counted_where_a_layout_cannot_express_it(
    collection: Path, tmp_path: Path
) -> None:
    writing.write(read_collection(collection), "coco", tmp_path / "out")
    for path in (tmp_path / "out" / "annotations").glob("*.json"):
        document = json.loads(path.read_text())
        for item in document["annotations"]:
            item["iscrowd"] = 1
        path.write_text(json.dumps(document))
    dataset = load(tmp_path / "out")
    counts = import_reviews(dataset, tmp_path / "new")
    assert (counts["drafts"], counts["reviews"]) == (3, 1)
    findings = writing.write(dataset, "yolo", tmp_path / "yolo")
    assert findings.count("dropped", "boxes") == 4


def test_impossible_imports_and_exports_are_refused(collection: Path, tmp_path: Path) -> None:
    dataset = read_collection(collection)
    with pytest.raises(DatasetError, match="must be one of"):
        writing.write(dataset, "csv", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    with pytest.raises(DatasetError, match="is not empty"):
        writing.write(dataset, "voc", tmp_path / "out")
    Collection.create(tmp_path / "empty")
    with pytest.raises(DatasetError, match="reviewed"):
        read_collection(tmp_path / "empty")


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><job><labels><label><name>cat</name></label></labels></job></meta>
  <image id="0" name="front/a.png" width="160" height="120">
    <box label="cat" source="manual" occluded="1" xtl="10.00" ytl="20.00" xbr="50.00" ybr="60.00" z_order="0"/>
    <box label="cat" source="manual" occluded="0" xtl="60" ytl="40" xbr="80" ybr="80" rotation="90.00"></box>
    <polygon label="cat" points="1,1;2,2;3,1"/>
  </image>
  <image id="1" name="gone.png" width="160" height="120"/>
</annotations>
"""


def test_a_cvat_file_with_rotated_boxes_polygons_and_a_missing_image_is_read(tmp_path: Path) -> None:
    (tmp_path / "images" / "front").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images" / "front" / "a.png"), np.zeros((120, 160, 3), np.uint8))
    (tmp_path / "annotations.xml").write_text(CVAT)
    dataset = load(tmp_path)
    turned = ("cat", (50.0, 50.0, 90.0, 70.0))
    assert rows(dataset) == {"a": [("cat", (1.0, 1.0, 3.0, 2.0)), ("cat", (10.0, 20.0, 50.0, 60.0)), turned]}
    text = "\n".join(dataset.findings.lines())
    assert "polygon" in text
    assert "gone.png" in text
    (tmp_path / "annotations.xml").write_text(CVAT.replace("<image id", "<track/><image id", 1))
    with pytest.raises(DatasetError, match="CVAT for video"):
        load(tmp_path)


def test_label_studio_tasks_without_a_persons_annotation_are_left_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((120, 160, 3), np.uint8))
    value = {"x": 50, "y": 50, "width": 25, "height": 25, "rotation": 90, "rectanglelabels": ["cat"]}
    result = {"type": "rectanglelabels", "original_width": 160, "original_height": 120, "value": value}
    old, new = ({"updated_at": f"2026-0{month}-01T00:00:00Z", "result": [result] * month} for month in (1, 2))
    cancelled = {"updated_at": "2026-09-01T00:00:00Z", "was_cancelled": True, "result": []}
    tasks = [
        {"data": {"image": "s3://bucket/a.png"}, "annotations": [new, old, cancelled]},
        {"data": {"image": "b.png"}, "annotations": [], "predictions": [{"result": [result]}]},
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    dataset = load(tmp_path)
    # Rotated by 90 degrees clockwise around its upper left corner (80, 60): 40 x 30 becomes 30 x 40 to the left.
    assert rows(dataset)["a"][0] == ("cat", (50.0, 60.0, 80.0, 100.0))
    text = "\n".join(dataset.findings.lines())
    assert "no annotation by a person" in text
    assert "several annotations" in text


def test_the_commands(collection: Path, tmp_path: Path) -> None:
    edgecam = [sys.executable, "-m", "edgecam_core.cli.main", "dataset"]
    words = ["export", str(collection), "--format", "voc", "--output", str(tmp_path / "out")]
    done = subprocess.run([*edgecam, *words], check=True, capture_output=True, text=True)
    assert "4 images" in done.stdout
    assert (tmp_path / "out" / "labels.txt").read_text() == "cat\ndog & co\n"
    lists = {path.stem: path.read_text().split() for path in (tmp_path / "out" / "ImageSets" / "Main").glob("*.txt")}
    assert sorted(lists["trainval"] + lists["test"]) == list(BOXES)
    words = ["import", str(tmp_path / "out"), "--collection", str(tmp_path / "new")]
    done = subprocess.run([*edgecam, *words], check=True, capture_output=True, text=True)
    assert "4 reviews" in done.stdout


DATUMARO = """
import sys
from datumaro import Dataset
layout, source, target, result = sys.argv[1:]
found = Dataset.import_from(source, layout)
found.export(target, result, save_media=True)
"""
LABEL_STUDIO = """
import sys
from label_studio_sdk.converter import Converter
source, target, layout = sys.argv[1:]
converter = Converter(source + "/config.xml", project_dir=None, download_resources=False)
converter.convert(source + "/tasks.json", target, layout, is_dir=False)
"""


def foreign(variable: str, program: str, *words: str) -> None:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python with the library (500 MB)")
    subprocess.run([python, "-c", program, *words], check=True)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("coco", "coco_instances"), ("voc", "voc"), ("yolo", "yolo"), ("cvat", "cvat")]
)
def test_datumaro_and_edgecam_read_each_others_files(ours: str, theirs: str, collection: Path, tmp_path: Path) -> None:
    writing.write(read_collection(collection), ours, tmp_path / "ours")
    foreign("EDGECAM_DATUMARO", DATUMARO, ours, str(tmp_path / "ours"), str(tmp_path / "theirs"), theirs)
    found = rows(load(tmp_path / "theirs"))
    assert dict(filter(lambda row: row[1], found.items())) == dict(filter(lambda row: row[1], expected().items()))
    assert ours == "voc" or "b" in found  # datumaro writes no VOC file for an image without objects


def with_images(ours: Path, theirs: Path, layout: str) -> Dataset:
    """The converter's output, which has only annotations, placed next to the images."""
    shutil.copytree(ours / "images", theirs / "images", dirs_exist_ok=True)
    if layout == "YOLO":
        names = (theirs / "classes.txt").read_text().splitlines()
        (theirs / "data.yaml").write_text(f"path: .\ntrain: images\nnames: {json.dumps(names)}\n")
    return load(theirs)


@pytest.mark.parametrize("theirs", ["COCO", "VOC", "YOLO"])
def test_label_studio_converts_our_file(theirs: str, collection: Path, tmp_path: Path) -> None:
    writing.write(read_collection(collection), "label-studio", tmp_path / "ours")
    foreign("EDGECAM_LABEL_STUDIO", LABEL_STUDIO, str(tmp_path / "ours"), str(tmp_path / "theirs"), theirs)
    found = rows(with_images(tmp_path / "ours", tmp_path / "theirs", theirs))
    for name, boxes in expected().items():
        for (label, box), (their_label, their_box) in zip(boxes, found.get(name, []), strict=True):
            assert label == their_label
            # It writes VOC with pixels counted from 0, where VOC counts from 1.
            assert their_box == pytest.approx(box, abs=1.01 if theirs == "VOC" else 0.11)
