"""VOC folders as written by common tools; contradictory files are dropped with the reason, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotated import write_image, write_list, write_voc, xml
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError

BOX = (10, 20, 50, 60)


def _ids(root: Path) -> dict[str, list[str]]:
    dataset = load(root)
    return {split: sorted(s.path.stem for s in dataset.split(split).samples) for split in dataset.counts()}


@pytest.mark.parametrize(
    "lines",
    [
        ["my cat 1", "b"],
        ["my cat 1.jpg", "b.jpg"],
        ["JPEGImages/my cat 1.jpg", "JPEGImages/b.jpg"],
        ["my cat 1  1", "b -1"],
        ["my cat 1\r", "b\r"],
        ["C:\\data\\JPEGImages\\my cat 1.jpg", "./b"],
    ],
)
def test_lists_name_images_in_many_ways(tmp_path: Path, lines: list[str]) -> None:
    write_voc(tmp_path, ["my cat 1", "b", "c"])
    write_list(tmp_path, "train", ["c"])
    write_list(tmp_path, "val", lines)
    assert _ids(tmp_path) == {"train": ["c"], "val": ["b", "my cat 1"]}


@pytest.mark.parametrize(
    ("name", "split"), [("default", "train"), ("Validation", "val"), ("valid", "val"), ("Test", "test")]
)
def test_lists_have_many_names(tmp_path: Path, name: str, split: str) -> None:
    write_voc(tmp_path, ["a"], split=name)
    write_list(tmp_path, "cat_train", ["a  1"])  # VOC's own lists of one class
    assert _ids(tmp_path) == {split: ["a"]}


def test_unknown_lists_are_refused_and_unknown_ids_are_counted(tmp_path: Path) -> None:
    write_voc(tmp_path, ["a"], split="everything")
    with pytest.raises(DatasetError, match=r"no list of a known split, only everything; name the lists train\.txt"):
        load(tmp_path)
    write_list(tmp_path, "train", ["a", "gone"])
    assert load(tmp_path).findings.counts() == {"dropped images: listed, but without an annotation": 1}


def test_ids_with_folders(tmp_path: Path) -> None:
    write_voc(tmp_path, ["day/0001", "night/0001"])
    write_list(tmp_path, "train", ["day/0001"])
    write_list(tmp_path, "val", ["night/0001"])
    dataset = load(tmp_path)
    assert [str(s.path.relative_to(tmp_path)) for s in dataset.samples] == [
        "JPEGImages/day/0001.jpg", "JPEGImages/night/0001.jpg",
    ]  # fmt: skip
    assert [sample.split for sample in dataset.samples] == ["train", "val"]


def test_xml_next_to_the_images_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_image(tmp_path / split / f"{split}.rf.12ab.jpg")
        (tmp_path / split / f"{split}.rf.12ab.xml").write_text(xml(f"{split}.rf.12ab.jpg", [("cat", BOX)]))
    assert _ids(tmp_path) == {"train": ["train.rf.12ab"], "val": ["valid.rf.12ab"]}


def test_the_xml_files_own_name_wins_over_filename(tmp_path: Path) -> None:
    write_voc(tmp_path, ["a", "b"])
    (tmp_path / "Annotations" / "a.xml").write_text(xml("b.jpg", [("cat", BOX)]))
    dataset = load(tmp_path)
    assert [sample.path.stem for sample in dataset.samples] == ["a", "b"]
    assert "repaired images: <filename> names another image than the XML file's own name: own name used" in (
        dataset.findings.counts()
    )


def test_renamed_images_are_found_either_way(tmp_path: Path) -> None:
    write_voc(tmp_path, ["a", "b"])
    (tmp_path / "JPEGImages" / "a.jpg").rename(tmp_path / "JPEGImages" / "a.PNG")  # its XML still says a.jpg
    (tmp_path / "JPEGImages" / "b.jpg").rename(tmp_path / "JPEGImages" / "other.jpg")
    (tmp_path / "Annotations" / "b.xml").write_text(xml("C:\\photos\\other.jpg", [("cat", BOX)]))
    assert [sample.path.name for sample in load(tmp_path).samples] == ["a.PNG", "other.jpg"]


def test_an_image_is_not_used_twice(tmp_path: Path) -> None:
    write_voc(tmp_path, ["a", "b"])
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    (tmp_path / "Annotations" / "a.xml").write_text(xml("b.jpg", [("cat", BOX)]))
    dataset = load(tmp_path)
    assert [sample.path.stem for sample in dataset.samples] == ["b"]
    assert dataset.findings.counts()["dropped boxes: <filename> names the image of another XML file"] == 1


@pytest.mark.parametrize("name", ["../outside.jpg", "../../outside.jpg", "x/../../../outside.jpg"])
def test_names_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "outside.jpg")
    root = write_voc(tmp_path / "set", ["a", "b"])
    (root / "JPEGImages" / "a.jpg").unlink()
    (root / "Annotations" / "a.xml").write_text(xml(name, [("cat", BOX)]))
    dataset = load(root)
    assert [sample.path.stem for sample in dataset.samples] == ["b"]
    assert dataset.findings.count("dropped", "boxes") == 1


def test_absolute_names_of_another_machine(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    (root / "Annotations" / "a.xml").write_text(xml("/home/bob/set/JPEGImages/a.jpg", [("cat", BOX)]))
    assert load(root).findings.counts() == {}


def test_class_names_are_trimmed_and_boxes_without_one_dropped(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    (root / "Annotations" / "a.xml").write_text(xml("a.jpg", [("cat ", BOX), ("\n cat", (60, 20, 90, 60)), ("", BOX)]))
    dataset = load(root)
    assert dataset.classes == ("cat",)
    assert dataset.samples[0].labels.tolist() == [0, 0]
    assert dataset.findings.counts()["dropped boxes: no class name, or several"] == 1


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", ""), ("utf-8", "UTF-8"), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("utf-16-le", ""), ("latin-1", ""),
     ("latin-1", "ISO-8859-1"), ("latin-1", "UTF-8")],
)  # fmt: skip
def test_encodings_of_xml_and_labels(tmp_path: Path, encoding: str, declared: str) -> None:
    root = write_voc(tmp_path, ["a"])
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    (root / "Annotations" / "a.xml").write_bytes((head + xml("a.jpg", [("K\u00f6ter", BOX)])).encode(encoding))
    (root / "labels.txt").write_bytes("BACKGROUND\nK\u00f6ter\n".encode(encoding))
    assert load(root).classes == ("K\u00f6ter",)


def test_text_that_cannot_be_determined_is_refused(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    for data in ("\u043a\u043e\u0442".encode("cp1251"), "\u732b".encode("shift-jis"), b"cat\0\0\0dog"):
        (root / "labels.txt").write_bytes(data)
        with pytest.raises(DatasetError, match=r"labels\.txt"):
            load(root)


def test_macos_leftovers_are_ignored(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    for name in ("Annotations/._a.xml", "JPEGImages/._a.jpg", "ImageSets/Main/._train.txt", "Annotations/.DS_Store"):
        (root / name).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
    assert load(root).findings.counts() == {}


def test_damaged_files_and_boxes_are_counted(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a", "b", "c"])
    (root / "Annotations" / "b.xml").write_text("<annotation><obj")
    (root / "Annotations" / "c.xml").write_text(xml("c.jpg", [("cat", BOX)]).replace("<xmin>11</xmin>", ""))
    (root / "Annotations" / "d.xml").write_text("<project/>")
    dataset = load(root)
    assert dataset.counts() == {"train": 2}
    counts = dataset.findings.counts()
    assert counts["dropped boxes: in XML files that cannot be read (at least one each)"] == 1
    assert counts["dropped boxes: <bndbox> incomplete or not numbers"] == 1
    assert counts["note files: XML files of another kind, <project> (not used)"] == 1


def test_fractions_where_pixels_are_expected(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a", "b"])
    text = xml("a.jpg", []).replace(
        "</annotation>",
        "<object><name>cat</name><bndbox><xmin>0.1</xmin><ymin>0.2</ymin><xmax>0.5</xmax><ymax>0.6</ymax></bndbox>"
        "</object></annotation>",
    )
    (root / "Annotations" / "a.xml").write_text(text)
    counts = load(root).findings.counts()
    assert counts["dropped boxes: coordinates are fractions of the image, not pixels"] == 1


def test_a_missing_size_is_taken_from_the_image(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    (root / "Annotations" / "a.xml").write_text(xml("a.jpg", [("cat", BOX)], None))
    sample = load(root).samples[0]
    assert (sample.width, sample.height) == (160, 120)
    assert sample.boxes.tolist() == [[10, 20, 50, 60]]


def test_the_error_for_a_parent_folder_names_the_right_one(tmp_path: Path) -> None:
    write_voc(tmp_path / "VOC2007", ["a"])
    with pytest.raises(DatasetError, match=r"Did you mean .*VOC2007\?"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("GB2312", "猫"), ("Shift_JIS", "猫"), ("Big5", "貓"), ("EUC-KR", "고양이"), ("windows-1251", "кот"),
     ("KOI8-R", "кот"), ("UTF-32", "кот")],
)  # fmt: skip
def test_xml_is_read_in_the_encoding_it_declares(tmp_path: Path, encoding: str, name: str) -> None:
    root = write_voc(tmp_path, ["a"])
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + xml("a.jpg", [(name, BOX)])
    (root / "Annotations" / "a.xml").write_bytes(text.encode(encoding))
    assert load(root).classes == (name,)


def test_utf8_that_is_declared_as_latin_1_stays_utf8(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + xml("a.jpg", [("K\u00f6ter", BOX)])
    (root / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    assert load(root).classes == ("K\u00f6ter",)


def test_one_class_in_many_spellings(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a"])
    names = ["polar bear", "polar  bear", "polar\u00a0bear", "\ufeffpolar bear", "po\u200blar bear"]
    names += ["K\u00f6ter", "Ko\u0308ter", "Polar_Bear"]
    objects = [(name, (10.0, 20.0, 50.0 + place, 60.0)) for place, name in enumerate(names)]
    (root / "Annotations" / "a.xml").write_text(xml("a.jpg", objects), encoding="utf-8")
    (root / "labels.txt").write_text("Polar_Bear\nKo\u0308ter\npolar bear\n", encoding="utf-8")
    dataset = load(root)
    assert dataset.classes == ("Polar_Bear", "K\u00f6ter", "polar bear")
    assert dataset.samples[0].labels.tolist() == [2, 2, 2, 2, 2, 1, 1, 0]
    assert dataset.findings.counts() == {"note classes: that differ only in case or punctuation": 2}


def test_names_of_files_may_be_composed_or_not(tmp_path: Path) -> None:
    """macOS stores one normal form, annotations and lists have the other."""
    root = write_voc(tmp_path, ["K\u00f6ter"])
    (root / "JPEGImages" / "K\u00f6ter.jpg").rename(root / "JPEGImages" / "Ko\u0308ter.jpg")
    write_list(root, "train", ["Ko\u0308ter"])
    assert load(root).findings.counts() == {}


@pytest.mark.parametrize("folder", ["ImageSets", "."])
def test_lists_next_to_the_usual_folder(tmp_path: Path, folder: str) -> None:
    root = write_voc(tmp_path, ["a", "b"])
    (root / "ImageSets" / "Main" / "train.txt").unlink()
    (root / folder / "train.txt").write_text("a\n")
    (root / folder / "val.txt").write_text("b\n")
    assert _ids(root) == {"train": ["a"], "val": ["b"]}


def test_lists_of_pairs_and_quoted_names(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a", "my cat (2)"])
    write_list(root, "train", ["JPEGImages/a.jpg Annotations/a.xml"])
    write_list(root, "val", ['"Annotations/my cat (2).xml"'])
    assert _ids(root) == {"train": ["a"], "val": ["my cat (2)"]}


def test_an_image_in_two_lists_is_named(tmp_path: Path) -> None:
    root = write_voc(tmp_path, ["a", "b"])
    write_list(root, "trainval", ["a", "b"])
    write_list(root, "val", ["a"])
    write_list(root, "test", ["a"])  # val and test may be the same set: pytorch-ssd needs both lists
    dataset = load(root)
    assert dataset.counts() == {"train": 1, "test": 1}
    assert dataset.findings.counts() == {
        "note images: in the list of 'train' too: used in 'val'": 1,
        "note images: in the list of 'train' too: used in 'test'": 1,
    }
