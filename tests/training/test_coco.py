"""COCO folders as they are downloaded and as tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import SIZE, coco, write_image
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError
from pycocotools import mask

BOX = [10.0, 20.0, 40.0, 30.0]


def _write(root: Path, name: str, text: str) -> None:
    (root / "annotations").mkdir(exist_ok=True, parents=True)
    (root / "annotations" / name).write_text(text)


def test_the_standard_folder_with_all_its_files(tmp_path: Path) -> None:
    for split, image in (("train2017", "000001.jpg"), ("val2017", "000002.jpg")):
        write_image(tmp_path / split / image)
        one = [(1, image)]
        _write(
            tmp_path, f"instances_{split}.json", coco(one, [(1, 18, BOX)], {1: "person", 18: "dog", 90: "toothbrush"})
        )
        _write(tmp_path, f"person_keypoints_{split}.json", coco(one, [(1, 1, BOX)], {1: "person"}))
        _write(tmp_path, f"captions_{split}.json", json.dumps({"images": [], "annotations": [{"caption": "a dog"}]}))
    dataset = load(tmp_path)
    assert dataset.classes == ("person", "dog", "toothbrush")
    assert dataset.counts() == {"train": 1, "val": 1}
    assert [sample.labels.tolist() for sample in dataset.samples] == [[1], [1]]
    counts = dataset.findings.counts()
    assert counts["note files: JSON without boxes (not used)"] == 2
    assert counts["note files: further JSON for the images of an instances file (not used)"] == 2
    assert load(tmp_path / "annotations" / "instances_val2017.json").counts() == {"val": 1}
    # keypoints alone are a data set of persons
    assert load(tmp_path / "annotations" / "person_keypoints_val2017.json").classes == ("person",)


def test_two_files_about_the_same_images_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for name in ("mine_train.json", "yours_train.json"):
        _write(tmp_path, name, coco([(1, "a.jpg")], [(1, 1, BOX)], {1: "cat"}))
    with pytest.raises(DatasetError, match=r"mine_train\.json and yours_train\.json annotate the same images"):
        load(tmp_path)


def test_files_side_by_side_are_joined_by_class_name(tmp_path: Path) -> None:
    for number, name in enumerate(("cats", "dogs")):
        write_image(tmp_path / "images" / f"{name}.jpg")
        _write(
            tmp_path,
            f"{name}.json",
            coco([(1, f"{name}.jpg")], [(1, 1, BOX)], {1: name[:-1], 2: ("dog", "cat")[number]}),
        )
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [dataset.classes[sample.labels[0]] for sample in dataset.samples] == ["cat", "dog"]


@pytest.mark.parametrize("kinds", [(str, int), (int, str), (str, str)])
def test_ids_as_text_and_as_numbers(tmp_path: Path, kinds: tuple[type, type]) -> None:
    listed, used = kinds
    write_image(tmp_path / "images" / "a.jpg")
    categories = {listed(10): "ten", listed(9): "nine", listed(200): "many"}
    _write(
        tmp_path,
        "train.json",
        coco([(listed(7), "a.jpg")], [(used(7), used(200), BOX), (used(7), used(9), BOX)], categories),
    )
    dataset = load(tmp_path)
    assert dataset.classes == ("nine", "ten", "many")  # 9 comes before 10, as numbers do
    assert dataset.samples[0].labels.tolist() == [2, 0]


def test_what_refers_to_nothing_is_counted(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    boxes = [(1, 1, BOX), (1, 5, BOX), (99, 1, BOX), (2, 1, BOX), (2, 1, BOX)]
    _write(tmp_path, "train.json", coco([(1, "a.jpg"), (2, "gone.jpg")], boxes, {1: "cat"}))
    counts = load(tmp_path).findings.counts()
    assert counts == {
        "dropped images: image file missing": 1,
        "dropped boxes: image file missing": 2,
        "dropped boxes: category_id is not in the file's list of categories": 1,
        "dropped boxes: image_id is not in the file's list of images": 1,
    }


@pytest.mark.parametrize("compressed", [True, False])
def test_run_length_masks_and_crowds(tmp_path: Path, compressed: bool) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    pixels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    pixels[30:50, 20:60] = 1
    outline = mask.encode(np.asfortranarray(pixels))
    counts = outline["counts"].decode()
    if not compressed:
        flat = pixels.flatten(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, len(flat)]).tolist()
    data = json.loads(coco([(1, "a.jpg")], [(1, 1, BOX), (1, 1, []), (1, 1, [])], {1: "sheep"}))
    data["annotations"][1] |= {"iscrowd": 1, "segmentation": {"size": [SIZE[1], SIZE[0]], "counts": counts}}
    data["annotations"][2] |= {"segmentation": [[5, 6, 40, 6, 40, 50]]}
    _write(tmp_path, "train.json", json.dumps(data))
    sample = load(tmp_path).samples[0]
    assert sample.boxes.tolist() == [[10, 20, 50, 50], [20, 30, 60, 50], [5, 6, 40, 50]]
    assert sample.crowd.tolist() == sample.difficult.tolist() == [False, True, False]


def test_roboflow_keeps_a_file_in_each_split(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write_image(tmp_path / split / f"{split}_jpg.rf.1.jpg")
        text = coco([(0, f"{split}_jpg.rf.1.jpg")], [(0, 1, BOX)], {0: "pets", 1: "cat"})
        (tmp_path / split / "_annotations.coco.json").write_text(text)
    assert load(tmp_path).counts() == {"train": 1, "val": 1, "test": 1}


def test_corners_where_width_and_height_belong_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    corners = [[80.0, 60.0, 150.0, 110.0], [60.0, 50.0, 120.0, 90.0]] * 4
    _write(tmp_path, "train.json", coco([(1, "a.jpg")], [(1, 1, box) for box in corners], {1: "cat"}))
    with pytest.raises(DatasetError, match="8 of 8 boxes reach outside"):
        load(tmp_path)


def test_names_with_folders_and_from_other_machines(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_image(tmp_path / split / "0001.jpg")
    names = [(1, "/home/bob/set/train/0001.jpg"), (2, "val\\0001.jpg"), (3, "../../0001.jpg")]
    _write(tmp_path, "all.json", coco(names, [(1, 1, BOX), (2, 1, BOX), (3, 1, BOX)], {1: "cat"}))
    dataset = load(tmp_path)
    assert [sample.path.parent.name for sample in dataset.samples] == ["train", "val"]
    assert dataset.findings.counts()["dropped boxes: image name leaves the data set's folder"] == 1


def test_damaged_json_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "train.json", '{"images": [')
    with pytest.raises(DatasetError, match=r"train\.json is not JSON"):
        load(tmp_path)
    _write(tmp_path, "train.json", coco([(1, "a.jpg"), (1, "b.jpg")], [], {1: "cat"}))
    with pytest.raises(DatasetError, match="two images have the id 1"):
        load(tmp_path)
