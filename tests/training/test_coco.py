"""COCO folders as downloaded and as written by tools."""

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
    # a file of keypoints alone is a data set of persons
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


def test_dangling_references_are_counted(tmp_path: Path) -> None:
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


def test_a_category_that_only_groups_others_is_not_a_class(tmp_path: Path) -> None:
    """Roboflow writes one; a model would get a class that it never learns."""
    for split in ("train", "valid"):
        write_image(tmp_path / split / f"{split}.jpg")
        data = json.loads(coco([(0, f"{split}.jpg")], [(0, 1, BOX)], {0: "pets", 1: "cat", 2: "dog"}))
        for item in data["categories"]:
            item["supercategory"] = "none" if item["name"] == "pets" else "pets"
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(data))
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [sample.labels.tolist() for sample in dataset.samples] == [[0], [0]]
    assert dataset.findings.counts()["note classes: groups of other classes, without boxes (left out)"] == 1
    data["annotations"][0]["category_id"] = 0  # with a box, it is a class
    (tmp_path / "valid" / "_annotations.coco.json").write_text(json.dumps(data))
    assert load(tmp_path).classes == ("pets", "cat", "dog")


def test_boxes_to_be_ignored_are_not_learned(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    data = json.loads(coco([(1, "a.jpg")], [(1, 1, BOX), (1, 1, [70, 20, 30, 30])], {1: "cat"}))
    data["annotations"][1]["ignore"] = 1
    _write(tmp_path, "train.json", json.dumps(data))
    (sample,) = load(tmp_path).samples
    assert (sample.difficult.tolist(), sample.crowd.tolist()) == ([False, True], [False, False])


def test_one_name_with_two_ids_is_one_class(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    boxes = [(1, 1, BOX), (1, 2, [70, 20, 30, 30])]
    _write(tmp_path, "train.json", coco([(1, "a.jpg")], boxes, {1: "cat", 2: "cat"}))
    dataset = load(tmp_path)
    assert dataset.classes == ("cat",)
    assert dataset.findings.counts()["note classes: with several ids (joined)"] == 1


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


def test_ids_as_fractions(tmp_path: Path) -> None:
    """pandas writes a column of numbers with a gap in this way."""
    write_image(tmp_path / "images" / "a.jpg")
    _write(tmp_path, "train.json", coco([(7, "a.jpg")], [(7.0, 3.0, BOX)], {3: "cat"}))
    assert load(tmp_path).samples[0].labels.tolist() == [0]


def test_an_image_listed_twice_keeps_all_its_boxes(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    _write(
        tmp_path,
        "train.json",
        coco([(1, "a.jpg"), (2, "a.jpg")], [(1, 1, BOX), (2, 1, BOX), (2, 2, BOX)], {1: "cat", 2: "dog"}),
    )
    dataset = load(tmp_path)
    assert [sample.labels.tolist() for sample in dataset.samples] == [[0, 1]]
    assert dataset.findings.counts() == {
        "repaired images: listed more than once: their boxes joined": 1,
        "repaired boxes: duplicate box of the same class: used once": 1,
    }


def test_two_instances_files_about_the_same_images_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "train2017" / "a.jpg")
    for name in ("instances_train2017.json", "instances_train2017_mini.json"):
        _write(tmp_path, name, coco([(1, "a.jpg")], [(1, 1, BOX)], {1: "cat"}))
    with pytest.raises(DatasetError, match="annotate the same images; pass one of the files"):
        load(tmp_path)


def test_an_image_in_train_and_val_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    for split in ("train", "val"):
        _write(tmp_path, f"instances_{split}.json", coco([(1, "a.jpg")], [(1, 1, BOX)], {1: "cat"}))
    counts = load(tmp_path).findings.counts()
    assert counts == {"note images: in both 'train' and 'val': scores are not meaningful": 1}


@pytest.mark.parametrize("place", ["train/labels.json", "annotations/train/instances.json", "train.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_in_other_places_and_encodings(tmp_path: Path, place: str, encoding: str) -> None:
    write_image(tmp_path / "train" / "data" / "Ko\u0308ter.jpg")
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    text = coco([(1, "K\u00f6ter.jpg")], [(1, 1, BOX)], {1: "cat"}).encode().decode("unicode_escape")
    file.write_bytes(text.encode(encoding))
    dataset = load(tmp_path)
    assert dataset.counts() == {"train": 1}
    assert dataset.samples[0].boxes.tolist() == [[10, 20, 50, 50]]


@pytest.mark.parametrize(
    "outline",
    [
        {"size": [SIZE[1], SIZE[0]], "counts": "zzzzzz"},
        {"size": [SIZE[1], SIZE[0]], "counts": [10, -5, SIZE[0] * SIZE[1] - 5]},
        {"size": [12, 16], "counts": [10, 10, 172]},  # of a smaller copy
        {"size": [SIZE[1], SIZE[0]], "counts": [SIZE[0] * SIZE[1]]},  # nothing
        {"counts": [1]},
        [[1, 2, 3]],
        "a polygon",
    ],
)
def test_outlines_without_an_area_are_dropped_with_a_reason(tmp_path: Path, outline: object) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    data = json.loads(coco([(1, "a.jpg")], [(1, 1, BOX), (1, 1, [])], {1: "cat"}))
    data["annotations"][1]["segmentation"] = outline
    _write(tmp_path, "train.json", json.dumps(data))
    assert load(tmp_path).findings.counts() == {"dropped boxes: no bbox and no usable segmentation": 1}


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_entries_that_are_not_objects_are_refused(tmp_path: Path, key: str) -> None:
    data = json.loads(coco([(1, "a.jpg")], [(1, 1, BOX)], {1: "cat"}))
    data[key].append(None)
    _write(tmp_path, "train.json", json.dumps(data))
    with pytest.raises(DatasetError, match=f"not all of '{key}' are JSON objects"):
        load(tmp_path)


def test_run_length_masks_have_the_boxes_of_pycocotools(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    random = np.random.default_rng(3)
    data = json.loads(coco([(1, "a.jpg")], [(1, 1, [])] * 40, {1: "cat"}))
    boxes = set()
    for item in data["annotations"]:
        pixels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
        x1, x2 = np.sort(random.choice(SIZE[0] + 1, 2, replace=False))
        y1, y2 = np.sort(random.choice(SIZE[1] + 1, 2, replace=False)) if random.random() < 0.7 else (0, SIZE[1])
        pixels[y1:y2, x1:x2] = random.random((y2 - y1, x2 - x1)) < 0.7
        coded = mask.encode(np.asfortranarray(pixels))
        x, y, w, h = mask.toBbox(coded).tolist()
        boxes |= {(x, y, x + w, y + h)} if min(w, h) >= 1 else set()
        item["segmentation"] = {"size": coded["size"], "counts": coded["counts"].decode()}
    _write(tmp_path, "train.json", json.dumps(data))
    assert {tuple(box) for box in load(tmp_path).samples[0].boxes.tolist()} == boxes
