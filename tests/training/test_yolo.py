"""YOLO folders as written by Ultralytics, Roboflow, CVAT and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotated import write_image, write_yolo
from edgecam_training.data import summary
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError

LINE = "0 0.5 0.5 0.25 0.5\n"  # 60 30 100 90 of 160x120
PARTS = "train: images/train\nval: images/val\n"
BOTH = {"train/a": LINE, "val/b": LINE}


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, dog]", 'names:\n  - cat\n  - "dog "', "names: {0: cat, 1: dog}", 'names: {"1": dog, "0": cat}',
        "names:\n  0: cat\n  1: dog\nnc: 2", "'names': ['cat', 'dog']",
    ],
)  # fmt: skip
def test_names_of_every_form(tmp_path: Path, names: str) -> None:
    dataset = load(write_yolo(tmp_path, f"{names}\n{PARTS}", BOTH))
    assert dataset.classes == ("cat", "dog")
    assert dataset.counts() == {"train": 1, "val": 1}
    assert dataset.samples[0].boxes.tolist() == [[60, 30, 100, 90]]


def test_classes_without_names_are_called_as_by_ultralytics(tmp_path: Path) -> None:
    assert load(write_yolo(tmp_path, f"nc: 2\n{PARTS}", BOTH)).classes == ("class_0", "class_1")
    (tmp_path / "data.yaml").write_text(f"nc: two\n{PARTS}")
    with pytest.raises(DatasetError, match=r"data\.yaml has no 'names'; it must be a list of class names"):
        load(tmp_path)


def test_numbers_keep_their_order_and_their_gaps(tmp_path: Path) -> None:
    names = "names: {" + ", ".join(f'"{i}": c{i}' for i in (10, 2, 0)) + "}\n"
    dataset = load(write_yolo(tmp_path, names + PARTS, {"train/a": LINE + LINE.replace("0 ", "10 ", 1), "val/b": ""}))
    assert dataset.classes == ("c0", "c2", "c10")
    assert dataset.samples[0].labels.tolist() == [0, 2]
    (tmp_path / "labels" / "val" / "b.txt").write_text("1 0.5 0.5 0.2 0.2")
    with pytest.raises(DatasetError, match=r"class 1 is not in data\.yaml; names has 0, 2, 10"):
        load(tmp_path)


def test_names_that_yaml_would_change(tmp_path: Path) -> None:
    assert load(write_yolo(tmp_path, f"names: [yes, no, 1.0, null]\n{PARTS}", BOTH)).classes == (
        "yes",
        "no",
        "1.0",
        "null",
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (f"names: cat\n{PARTS}", r"names is 'cat'; it must be a list, e\.g\. names: \[cat\]"),
        (f"names: [cat]\nnc: 3\n{PARTS}", "nc is 3, but names has 1 classes"),
        (f"names: [cat, cat]\n{PARTS}", "different, non-empty names"),
        (f"names: {{a: cat}}\n{PARTS}", "keys of names must be class numbers"),
        (f"names: {{0: {{name: cat}}}}\n{PARTS}", "names must be plain names"),
        (f"names: [[cat, dog]]\n{PARTS}", "names must be plain names"),
        ("names: [cat]\ntrain: images/train\nval: images/nowhere\n", "val is 'images/nowhere', which does not exist"),
        ("names: [cat]\ntrain: data.yaml\n", "must be a folder or a .txt list"),
        ("names: [cat\n", "is not YAML"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, config: str, reason: str) -> None:
    write_yolo(tmp_path, config, BOTH)
    with pytest.raises(DatasetError, match=reason):
        load(tmp_path)


@pytest.mark.parametrize(
    "parts",
    [
        "train: ../train/images\nval: ../valid/images\n",
        "path: /home/bob/set\ntrain: train/images\nval: valid/images\n",
        "train: /home/bob/set/train/images\nval: [valid/images]\n",
        "train: train.txt\nval: val.txt\n",
        "train: train\nvalid: valid\n",
    ],
)
def test_where_the_images_are(tmp_path: Path, parts: str) -> None:
    for split, name in (("train", "a"), ("valid", "b")):
        write_image(tmp_path / split / "images" / f"{name}.jpg")
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{name}.txt").write_text(LINE)
    (tmp_path / "train.txt").write_text("./train/images/a.jpg\n")
    (tmp_path / "val.txt").write_text("/home/bob/set/valid/images/b.jpg\n\n")
    (tmp_path / "data.yaml").write_text(f"names: [cat]\n{parts}")
    dataset = load(tmp_path)
    assert {s.path.stem: (s.split, len(s.labels)) for s in dataset.samples} == {"a": ("train", 1), "b": ("val", 1)}


def test_several_folders_and_lists_with_gaps(tmp_path: Path) -> None:
    write_yolo(tmp_path, "names: [cat]\ntrain: [images/one, images/two, more.txt]\n", {"one/a": LINE, "two/b": LINE})
    (tmp_path / "more.txt").write_text("images/one/a.jpg\nimages/gone.jpg\n")
    dataset = load(tmp_path)
    assert dataset.counts() == {"train": 2}
    assert dataset.findings.counts()["dropped images: image file missing"] == 1


def test_the_same_images_in_train_and_val_are_named(tmp_path: Path) -> None:
    write_yolo(tmp_path, "names: [cat]\ntrain: images/train\nval: images/train\n", {"train/a": LINE})
    assert "note images: in both 'train' and 'val': scores are not meaningful" in load(tmp_path).findings.counts()
    (tmp_path / "data.yaml").write_text("names: [cat]\ntrain: images/train\ntest: images/train\n")
    assert "note images: in both 'train' and 'test': scores are not meaningful" in load(tmp_path).findings.counts()


def test_polygons_keypoints_and_other_lines(tmp_path: Path) -> None:
    polygon = "0 0.25 0.5 0.75 0.5 0.5 0.75\n"
    write_yolo(tmp_path, f"names: [cat]\n{PARTS}", {"train/a": LINE + polygon, "val/b": ""})
    sample = load(tmp_path).samples[0]
    assert sample.boxes.tolist() == [[60, 30, 100, 90], [40, 60, 120, 90]]
    label = tmp_path / "labels" / "train" / "a.txt"
    label.write_text("0 0.5 0.5 0.25 0.5 0.9\n")
    with pytest.raises(DatasetError, match=r"line 1: has 6 numbers; a box has 5"):
        load(tmp_path)
    (tmp_path / "data.yaml").write_text(f"names: [cat]\nkpt_shape: [1, 3]\n{PARTS}")
    label.write_text("0 0.5 0.5 0.25 0.5 0.4 0.4 2\n")
    assert load(tmp_path).samples[0].boxes.tolist() == [[60, 30, 100, 90]]
    label.write_text("cat 0.5 0.5 0.25 0.5\n")
    with pytest.raises(DatasetError, match="must be numbers"):
        load(tmp_path)


def test_pixels_where_fractions_are_expected(tmp_path: Path) -> None:
    write_yolo(tmp_path, f"names: [cat]\n{PARTS}", {"train/a": "0 80 60 40 60\n", "val/b": LINE})
    counts = load(tmp_path).findings.counts()
    assert counts["dropped boxes: coordinates are pixels, not fractions of the image"] == 1


def test_a_set_without_any_label_file_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.jpg")
    (tmp_path / "data.yaml").write_text("names: [cat]\ntrain: images/train\n")
    with pytest.raises(DatasetError, match=r"none of 1 images has a label file; looked for .*labels/train/a\.txt"):
        load(tmp_path)


def test_encodings_and_leftovers(tmp_path: Path) -> None:
    write_yolo(tmp_path, f"names: [K\u00f6ter]\n{PARTS}", BOTH)
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        (tmp_path / "data.yaml").write_bytes(f"names: [K\u00f6ter]\n{PARTS}".encode(encoding))
        (tmp_path / "labels" / "train" / "a.txt").write_bytes(LINE.encode(encoding))
        for name in ("images/train/._a.jpg", "labels/train/._a.txt", "._data.yaml"):
            (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
        dataset = load(tmp_path)
        assert dataset.classes == ("K\u00f6ter",)
        assert dataset.samples[0].boxes.tolist() == [[60, 30, 100, 90]]
        assert dataset.findings.counts() == {}


def test_darknet_and_cvat(tmp_path: Path) -> None:
    write_image(tmp_path / "obj_train_data" / "a.jpg")
    (tmp_path / "obj_train_data" / "a.txt").write_text(LINE)
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.jpg\n")
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [len(sample.labels) for sample in dataset.samples] == [1]


def test_several_configurations(tmp_path: Path) -> None:
    write_yolo(tmp_path, f"names: [cat]\n{PARTS}", BOTH)
    (tmp_path / "data.yaml").rename(tmp_path / "one.yaml")
    (tmp_path / "docker-compose.yaml").write_text("services:\n  hostnames: none\n")
    assert load(tmp_path).classes == ("cat",)
    (tmp_path / "two.yml").write_text(f"names: [dog]\n{PARTS}")
    with pytest.raises(DatasetError, match=r"several configurations, one\.yaml, two\.yml"):
        load(tmp_path)
    assert load(tmp_path / "two.yml").classes == ("dog",)


def test_labels_without_an_image_are_dropped_boxes(tmp_path: Path) -> None:
    write_yolo(tmp_path, f"names: [cat]\n{PARTS}", BOTH)
    (tmp_path / "images" / "train" / "phone.heic").write_bytes(b"no format that can be read")
    (tmp_path / "labels" / "train" / "phone.txt").write_text(LINE * 3)
    (tmp_path / "labels" / "train" / "README.txt").write_text("made by 3 people\n")
    (tmp_path / "images" / "train" / "a.jpg").rename(tmp_path / "images" / "train" / "a.JFIF")
    dataset = load(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.JFIF", "b.jpg"]
    assert dataset.findings.count("dropped", "boxes") == 3
    with pytest.raises(DatasetError, match=r"3 label file without an image \(\.jpg, .*phone\.txt"):
        summary.accept(dataset)


def test_images_missing_from_a_list_are_not_counted_as_dropped(tmp_path: Path) -> None:
    write_yolo(tmp_path, "names: [cat]\ntrain: few.txt\n", {"a": LINE, "b": LINE})
    (tmp_path / "few.txt").write_text("images/a.jpg\n")
    dataset = load(tmp_path)
    assert dataset.counts() == {"train": 1}
    assert dataset.findings.counts() == {}


@pytest.mark.parametrize("folder", ["images", "."])
def test_a_list_of_classes_alone(tmp_path: Path, folder: str) -> None:
    """LabelImg keeps it next to the images, Label Studio above them."""
    write_yolo(tmp_path, "", {"a": LINE, "b": LINE.replace("0", "1", 1)}, folder)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [sample.labels.tolist() for sample in dataset.samples] == [[0], [1]]
    assert dataset.findings.counts() == {}


def test_a_list_of_classes_with_a_folder_for_each_split(tmp_path: Path) -> None:
    write_yolo(tmp_path, "", BOTH)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("cat\n")
    assert load(tmp_path).counts() == {"train": 1, "val": 1}
