"""Annotations that readers easily ignore silently: each is used, repaired, dropped or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from annotated import coco, write_image, write_voc, write_yolo
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError

CORNERS = "<xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax>"
NAMED = "<name>cat</name>"
BOX = f"<bndbox>{CORNERS}</bndbox>"
EDGES = [10.0, 20.0, 50.0, 60.0]
PARTS = "train: images/train\nval: images/val\n"
BACKGROUND = "dropped boxes: of a class that names the background"
NOTED = "note classes: that name the background (left out)"


def _voc(root: Path, objects: str, tag: str = "annotation", labels: str = "") -> Dataset:
    """The first image has ``objects``, the second a cat."""
    write_voc(root, ["a", "b"])
    text = f"<{tag}><size><width>160</width><height>120</height></size>{objects}</{tag.split()[0]}>"
    (root / "Annotations" / "a.xml").write_text(text)
    if labels:
        (root / "labels.txt").write_text(labels)
    return load(root)


@pytest.mark.parametrize(
    ("objects", "boxes", "reason"),
    [
        (f"<object>{NAMED}<deleted>1</deleted>{BOX}</object>", [], "note boxes: deleted in the annotation tool"),
        (f"<object>{NAMED}<deleted> True</deleted>{BOX}</object>", [], "note boxes: deleted in the annotation tool"),
        (f"<object>{NAMED}<deleted>0</deleted>{BOX}</object>", [EDGES], ""),
        (
            f"<object>{NAMED}{BOX}<bndbox>{CORNERS.replace('11', '5')}</bndbox></object>",
            [EDGES, [4, 20, 50, 60]], "repaired boxes: several boxes in one <object>: all used",
        ),
        (f"<object>{BOX}</object>", [], "dropped boxes: no class name, or several"),
        (f"<object><name>cat</name><name>dog</name>{BOX}</object>", [], "dropped boxes: no class name, or several"),
        (f"<object>{NAMED}</object>", [], "dropped boxes: <bndbox> incomplete"),
        (
            f"<object>{NAMED}<bndbox>{CORNERS}<xmin>99</xmin></bndbox></object>",
            [], "dropped boxes: <bndbox> incomplete",
        ),
        (
            f"<object>{NAMED}<polygon><pt><x>10</x><y>20</y></pt><pt><x>50</x><y>20</y></pt><pt><x>30</x><y>60</y></pt>"
            "</polygon></object>", [EDGES], "repaired boxes: <polygon>: the upright box around it",
        ),
        (
            f"<object>{NAMED}<polygon><pt><x>10</x><y>20</y></pt></polygon></object>",
            [], "dropped boxes: <polygon> incomplete",
        ),
        (f"<object>{NAMED}{BOX}<polygon><x1>1</x1><y1>1</y1></polygon></object>", [EDGES], ""),
        (
            f"<object>{NAMED}<robndbox><cx>30</cx><cy>40</cy><w>40</w><h>40</h><angle>1.5707963</angle></robndbox>"
            "</object>", [EDGES], "repaired boxes: <robndbox>: the upright box around it",
        ),
        (f"<OBJECT><Name>cat</Name><BndBox>{CORNERS.replace('xmin', 'xMin')}</BndBox></OBJECT>", [EDGES], ""),
        (f"<object>{NAMED}{BOX}<part><name>head</name>{BOX}</part></object>", [EDGES], ""),
        (
            f"<object>{NAMED}<difficult>2</difficult>{BOX}</object>",
            [EDGES], "note boxes: 'difficult' is neither yes nor no: read as no",
        ),
    ],
)  # fmt: skip
def test_objects_of_voc(tmp_path: Path, objects: str, boxes: list[list[float]], reason: str) -> None:
    dataset = _voc(tmp_path, objects)
    found = dataset.samples[0].boxes.tolist()
    assert [[round(value, 3) for value in box] for box in found] == boxes
    counts = [text for text in dataset.findings.counts() if "background" not in text]
    assert len(counts) == bool(reason)
    assert "".join(counts).startswith(reason)


def test_namespaces_do_not_matter(tmp_path: Path) -> None:
    dataset = _voc(tmp_path, f"<object>{NAMED}{BOX}</object>", 'annotation xmlns="http://example.com/voc"')
    assert dataset.samples[0].boxes.tolist() == [EDGES]


@pytest.mark.parametrize(
    ("labels", "noted"),
    [("cat\nbackground\n", 1), ("__background__\ncat\n", 0), ("# my classes\nBACKGROUND\r\ncat\r\n", 0)],
)
def test_the_background_is_not_a_class_of_voc(tmp_path: Path, labels: str, noted: int) -> None:
    dataset = _voc(tmp_path, f"<object>{NAMED}{BOX}</object>", labels=labels)
    assert dataset.classes == ("cat",)
    assert dataset.findings.counts().get(NOTED, 0) == noted


def test_a_class_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"labels\.txt lists cat more than once"):
        _voc(tmp_path, f"<object>{NAMED}{BOX}</object>", labels="cat\ndog\ncat\n")


def test_boxes_of_the_background_are_dropped(tmp_path: Path) -> None:
    dataset = _voc(tmp_path / "voc", f"<object><name>Background</name>{BOX}</object><object>{NAMED}{BOX}</object>")
    assert (dataset.classes, dataset.samples[0].labels.tolist()) == (("cat",), [0])
    assert dataset.findings.counts()[BACKGROUND] == 1
    write_yolo(tmp_path / "yolo", f"names: [background, cat]\n{PARTS}", {"train/a": "1 .5 .5 .2 .2\n", "val/b": ""})
    dataset = load(tmp_path / "yolo")
    assert (dataset.classes, dataset.samples[0].labels.tolist()) == (("cat",), [0])


def _coco(root: Path, **changes: Any) -> Dataset:
    write_image(root / "images" / "a.jpg")
    boxes = [(1, 1, [10.0, 20.0, 40.0, 40.0]), (1, 1, [60.0, 20.0, 40.0, 40.0])]
    data = json.loads(coco([(1, "a.jpg")], boxes, {1: "cat", 7: "__background__"}))
    data["annotations"][0] |= changes
    (root / "annotations").mkdir()
    (root / "annotations" / "train.json").write_text(json.dumps(data))
    return load(root)


@pytest.mark.parametrize("value", [1, "1", True, "true", "True", 1.0, "1.0", "yes"])
@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_crowds_of_coco_in_many_spellings(tmp_path: Path, key: str, value: object) -> None:
    (sample,) = _coco(tmp_path, **{key: value}).samples
    assert sample.difficult.tolist() == [True, False]
    assert sample.crowd.tolist() == [key == "iscrowd", False]


@pytest.mark.parametrize(
    ("changes", "count", "reason"),
    [
        ({"bbox": None, "segmentation": [[10, 20, 50, 20, 50, 60]]}, 2, "repaired boxes: no bbox: the box around its"),
        ({"bbox": [30, 40, 40, 40, 15.0]}, 1, "dropped boxes: bbox is not four numbers"),
        ({"bbox": "10,20,30,40"}, 1, "dropped boxes: bbox is not four numbers"),
        ({"segmentation": [[100, 100, 150, 100, 150, 119]]}, 1, "dropped boxes: bbox and segmentation do not overlap"),
        ({"bbox": None}, 1, "dropped boxes: no bbox and no usable segmentation"),
        ({"category_id": 5}, 1, "dropped boxes: category_id is not in"),
        ({"category_id": None}, 1, "dropped boxes: category_id is not in"),
        ({"category_id": 7}, 1, BACKGROUND),
        ({"iscrowd": "maybe"}, 2, "note boxes: 'iscrowd' is neither yes nor no"),
    ],
)
def test_annotations_of_coco(tmp_path: Path, changes: dict[str, Any], count: int, reason: str) -> None:
    dataset = _coco(tmp_path, **changes)
    assert dataset.classes == ("cat",)
    assert len(dataset.samples[0].labels) == count
    rest = [text for text in dataset.findings.counts() if text != NOTED]
    assert len(rest) == 1
    assert rest[0].startswith(reason)


def _pose(seed: int, step: int, parts: int) -> str:
    """A box in the middle with ``parts`` keypoints inside, one of them not visible."""
    points = [(0.5 + 0.01 * ((seed + part) % 5), 0.5 - 0.01 * part) for part in range(parts - 1)]
    text = " ".join(f"{x} {y}" + " 1" * (step == 3) for x, y in points)
    return f"0 0.5 0.5 0.3 {0.4 + 0.01 * seed} {text} 0 0{' 0' * (step == 3)}\n"


@pytest.mark.parametrize(("step", "parts"), [(2, 3), (2, 17), (3, 4), (3, 18)])
def test_undeclared_keypoints_are_not_read_as_polygons(tmp_path: Path, step: int, parts: int) -> None:
    lines = {f"train/{seed}": _pose(seed, step, parts) for seed in range(6)} | {"val/b": ""}
    write_yolo(tmp_path, f"names: [cat]\n{PARTS}", lines)
    with pytest.raises(DatasetError, match=r"look like a box with keypoints.*add kpt_shape"):
        load(tmp_path)
    (tmp_path / "data.yaml").write_text(f"names: [cat]\nkpt_shape: [{parts}, {step}]\n{PARTS}")
    assert load(tmp_path).samples[0].boxes.tolist()[0] == pytest.approx([56, 36, 104, 84])


def test_rotated_boxes_and_polygons_of_yolo_are_counted(tmp_path: Path) -> None:
    turned = "0 0.5 0.4 0.6 0.5 0.5 0.6 0.4 0.5\n"
    lines = {f"train/{n}": turned for n in range(6)} | {"val/b": "0 0.1 0.1 0.4 0.1 0.2 0.4\n"}
    dataset = load(write_yolo(tmp_path, f"names: [cat]\n{PARTS}", lines))
    assert dataset.samples[0].boxes.tolist()[0] == pytest.approx([64, 48, 96, 72])
    assert dataset.findings.counts() == {"repaired boxes: polygon: the upright box around it": 7}


@pytest.mark.parametrize(
    ("config", "line", "reason"),
    [
        ("", "0 0.5 0.5 0.2 0.2 0.93", "6 numbers; .* a confidence at the end means that these are predictions"),
        ("", "0 0.5 0.4 0.6 0.5 0.5 0.6 0.4 0.5 0.93", "10 numbers; .* a confidence at the end"),
        ("kpt_shape: [2, 3]\n", "0 0.5 0.5 0.2 0.2 0.5 0.5 0.4 0.4", "by kpt_shape of data.yaml a box .* has 11"),
        ("kpt_shape: 17\n", "0 0.5 0.5 0.2 0.2", r"kpt_shape is '17'; it must be two numbers"),
    ],
)
def test_lines_of_yolo_with_other_counts(tmp_path: Path, config: str, line: str, reason: str) -> None:
    write_yolo(tmp_path, f"names: [cat]\n{config}{PARTS}", {"train/a": line, "val/b": ""})
    with pytest.raises(DatasetError, match=reason):
        load(tmp_path)


def test_shapes_of_cvat(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    shapes = (
        '<polygon label="cat" points="10,20;50,20;30,60"/><ellipse label="cat" cx="30" cy="40" rx="20" ry="20"/>'
        '<mask label="cat" rle="1" left="10" top="20" width="40" height="40"/>'
        '<box label="" xtl="1" ytl="1" xbr="9" ybr="9"/><box label="dog" xtl="10" ytl="20" xbr="50" ybr="60"/>'
        '<polygon label="cat" points="10,20"/><polyline label="cat" points="1,1;2,2"/>'
    )
    labels = "<label><name>cat</name></label><label><name>nose</name><parent>cat</parent></label>"
    (tmp_path / "annotations.xml").write_text(
        f'<annotations><meta><labels>{labels}</labels></meta><image name="a.jpg" width="160" height="120">{shapes}'
        "</image></annotations>"
    )
    dataset = load(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert sorted(dataset.samples[0].labels.tolist()) == [0, 1]  # the three cats are one box
    assert dataset.samples[0].boxes.tolist() == [EDGES, EDGES]
    assert dataset.findings.counts() == {
        "repaired boxes: polygon: the upright box around it": 1,
        "repaired boxes: ellipse: the upright box around it": 1,
        "repaired boxes: mask: the upright box around it": 1,
        "repaired boxes: duplicate box of the same class: used once": 2,
        "dropped boxes: no class name": 1,
        "dropped boxes: corners are not numbers": 1,
        "dropped shapes: 'polyline' is not a box": 1,
        "note classes: not in the list of labels": 1,
    }


def _result(kind: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "original_width": 160, "original_height": 120, "value": value}


def test_shapes_of_label_studio(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    results = [
        _result("rectanglelabels", x=10, y=10, width=20, height=20, rectanglelabels=["cat"]),
        _result("polygonlabels", points=[[50, 50], [60, 50], [55, 75]], polygonlabels=["cat"]),
        _result("ellipselabels", x=30, y=75, radiusX=10, radiusY=5, ellipselabels=["dog"]),
        _result("rectanglelabels", x=10, y=10, width=20, height=20, rectanglelabels=[""]),
        _result("keypointlabels", x=1, y=1, keypointlabels=["cat"]),
    ]
    tasks = [{"data": {"image": name}, "annotations": [{"result": results}]} for name in ("a.jpg", "gone.jpg")]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    dataset = load(tmp_path)
    assert dataset.samples[0].boxes.tolist() == [[16, 12, 48, 36], [80, 60, 96, 90], [32, 84, 64, 96]]
    assert dataset.samples[0].labels.tolist() == [0, 0, 1]
    assert dataset.findings.counts() == {
        "repaired boxes: polygon: the upright box around it": 1,
        "repaired boxes: ellipse: the upright box around it": 1,
        "dropped images: image file missing": 1,
        "dropped boxes: image file missing": 4,
        "dropped boxes: without exactly one label, or not finite": 1,
        "dropped shapes: 'keypointlabels' is not a box with a label": 1,
    }


@pytest.mark.parametrize(("value", "groups"), [("1", 1), ("1.0", 1), ("True", 1), ("0", 0), ("-1", 0)])
def test_group_boxes_of_a_downloaders_table(tmp_path: Path, value: str, groups: int) -> None:
    write_image(tmp_path / "train" / "a.jpg")
    head = "ImageID,XMin,YMin,XMax,YMax,IsGroupOf,ClassName"
    (tmp_path / "sub-train-annotations-bbox.csv").write_text(f"{head}\na,0.1,0.1,0.5,0.5,{value},Zebra\n")
    assert sum(load(tmp_path).findings.counts().values()) == groups


@pytest.mark.parametrize(
    ("head", "row", "reason"),
    [
        ({"classes": "cat"}, {}, "'classes' of the first line must be a list of names, is 'cat'"),
        ({"classes": ["cat", "cat"]}, {}, "names a class twice"),
        ({"classes": None}, {}, "must be a list of names"),
        ({}, {"difficult": [True]}, "1 'difficult'"),
        ({}, {"crowd": ["perhaps", False]}, "it must be a list of true and false"),
        ({}, {"boxes": [[1, 2], [3, 4]]}, "boxes of four numbers"),
        ({}, {"boxes": [[1, 2, 3, 4, 5, 6, 7, 8], []]}, "boxes of four numbers"),
    ],
)
def test_manifests_of_other_shapes(tmp_path: Path, head: dict[str, Any], row: dict[str, Any], reason: str) -> None:
    write_image(tmp_path / "a.jpg")
    first = {"format": "edgecam-dataset", "version": 1, "classes": ["cat"]} | head
    line = {"image": "a.jpg", "split": "train", "width": 160, "height": 120, "boxes": [EDGES, [1, 2, 30, 40]]}
    line |= {"labels": ["cat", "cat"]} | row
    (tmp_path / "manifest.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(line)}\n")
    with pytest.raises(DatasetError, match=reason):
        load(tmp_path)


def test_flags_of_a_manifest_may_be_text(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    line = {"image": "a.jpg", "split": "train", "width": 160, "height": 120, "boxes": [EDGES, [1, 2, 30, 40]]}
    line |= {"labels": ["cat", "cat"], "difficult": ["false", "true"]}
    first = {"format": "edgecam-dataset", "version": 1, "classes": ["cat"]}
    (tmp_path / "manifest.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(line)}\n")
    assert load(tmp_path).samples[0].difficult.tolist() == [False, True]


def test_samples_of_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="2 boxes of four numbers"):
        Sample.make(Path("a.jpg"), (9, 9), "train", [EDGES, EDGES], [0])
