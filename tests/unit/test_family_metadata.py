"""What exporters write into a file: names, sizes and layouts are used, contradictions are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.family import open_family
from edgecam_core.models.labels import read_labels
from family_models import IMAGE, F, detector, found, reexported, with_input
from onnx import TensorProto, helper, numpy_helper
from tiny_models import fixed_outputs, save

NAMES = "{0: 'person', 1: 'hot dog'}"


def test_names_of_the_ultralytics_exporter(tmp_path: Path) -> None:
    path = reexported(fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)}), {"names": NAMES})
    assert detector(path).labels == ("person", "hot dog")


def test_ultralytics_export_with_free_sizes(tmp_path: Path) -> None:
    output = np.zeros((1, 6, 50), F)
    output[0, :, 7] = [50, 50, 20, 10, 0.1, 0.9]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    reexported(
        path, {"names": NAMES, "imgsz": "[100, 100]", "task": "detect"}, {"images": (0, 2, 3), "output0": (0, 2)}
    )
    assert found(detector(path)) == [("hot dog", 0.9, (160, 80, 240, 120))]


def test_free_sizes_are_filled_up_to_the_stride_as_ultralytics_does(tmp_path: Path) -> None:
    """``dynamic=True``: its predict pads only to the next multiple of the stride."""
    output = np.zeros((1, 6, 50), F)
    output[0, :, 7] = [50, 34, 20, 10, 0.1, 0.9]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    facts = {"names": NAMES, "imgsz": "[100, 100]", "task": "detect", "stride": "32"}
    subject = detector(reexported(path, facts, {"images": (0, 2, 3), "output0": (0, 2)}), max_batch=4)
    assert subject.prepare(IMAGE).tensor.shape == (1, 3, 68, 100)
    assert found(subject) == [("hot dog", 0.9, (160, 80, 240, 120))]
    tall = np.zeros((400, 200, 3), np.uint8)
    boxes = [tuple(round(v) for v in item.box) for one in subject.detect_batch([IMAGE, tall]) for item in one]
    assert subject.prepare(tall).tensor.shape == (1, 3, 100, 68)
    assert boxes == [(160, 80, 240, 120), (124, 116, 200, 156)]  # each for the size of its own image
    fixed = fixed_outputs(tmp_path / "fixed.onnx", {"output0": output})
    assert detector(reexported(fixed, facts)).prepare(IMAGE).tensor.shape == (1, 3, 100, 100)


@pytest.mark.parametrize(
    ("imgsz", "refusal"),
    [
        ("[320, 320]", "for images of 320x320 by its metadata 'imgsz' .*, but its input 'images' is 100x100"),
        ("[100, 50]", "for images of 50x100 by"),
        ("640", "is '640', not a list"),
        ("[0, 100]", r"is '\[0, 100\]', not a list"),
        ("[100, ", "not a list"),
    ],
)
def test_a_size_in_the_metadata_that_contradicts_the_input_is_refused(tmp_path: Path, imgsz: str, refusal: str) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)})
    with pytest.raises(ModelError, match=refusal):
        detector(reexported(path, {"names": NAMES, "imgsz": imgsz}))


def test_yolov5_export_with_free_sizes(tmp_path: Path) -> None:
    output = np.zeros((1, 50, 7), F)
    output[0, 3] = [50, 50, 20, 10, 0.9, 0.0, 0.8]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    reexported(path, {"names": "['cat', 'dog']", "imgsz": "[100, 100]"}, {"images": (0, 2, 3), "output0": (0, 1)})
    assert found(detector(path)) == [("dog", 0.72, (160, 80, 240, 120))]


@pytest.mark.parametrize(
    ("outputs", "task"),
    [({"output0": (1, 56, 50)}, "pose"), ({"output0": (1, 38, 50), "output1": (1, 32, 9, 9)}, "segment")],
)
def test_another_task_than_detection_is_named(tmp_path: Path, outputs: dict[str, tuple[int, ...]], task: str) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {name: np.zeros(shape, F) for name, shape in outputs.items()})
    with pytest.raises(ModelError, match=f"task '{task}'"):
        open_family(ModelFile.read(reexported(path, {"names": NAMES, "task": task})))


def test_an_additional_input_is_named(tmp_path: Path) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)})
    with pytest.raises(ModelError, match="needs the inputs im_shape besides the image"):
        open_family(ModelFile.read(with_input(path, "im_shape", TensorProto.FLOAT, [1, 2])))


@pytest.mark.parametrize(
    ("outputs", "facts", "message"),
    [
        ({"output0": np.zeros((1, 300, 6), F)}, {}, "edgecam.labels"),
        ({"logits": np.zeros((1, 5, 3), F), "boxes": np.zeros((1, 5, 4), F)}, {"activation": "tanh"}, "'tanh'"),
        (
            {"boxes": np.zeros((5, 4), F), "labels": np.zeros(5, np.int64), "scores": np.zeros(5, F)},
            {},
            "how many classes",
        ),
        ({"output0": np.zeros((1, 8, 8), F)}, {}, "do not fit any of the families"),
    ],
)
def test_undetermined_properties_of_a_model_are_reported(
    tmp_path: Path, outputs: dict[str, np.ndarray], facts: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        open_family(ModelFile.read(fixed_outputs(tmp_path / "m.onnx", outputs, facts)))


def joined_outputs(path: Path, columns: list[np.ndarray], numbers: np.ndarray | None = None, **facts: str) -> Path:
    """A model whose output ``output0`` joins columns, and class numbers cast from integers, as real exports do."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 100, 100])
    count = sum(part.shape[2] for part in columns) + (numbers is not None)
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, columns[0].shape[1], count])
    weights = [numpy_helper.from_array(part, f"part{place}") for place, part in enumerate(columns)]
    nodes, names = [], [item.name for item in weights]
    if numbers is not None:
        weights.append(numpy_helper.from_array(numbers, "numbers"))
        nodes = [
            helper.make_node("Abs", ["numbers"], ["counted"]),
            helper.make_node("Cast", ["counted"], ["numbers_f"], to=TensorProto.FLOAT),
        ]
        names.append("numbers_f")
    nodes.append(helper.make_node("Concat", names, ["output0"], axis=2))
    return reexported(save(helper.make_graph(nodes, "g", [image], [output], weights), path, {}), facts)


RTDETR = {"task": "detect", "description": "Ultralytics RTDETR-l model"}


def test_rt_detr_with_two_classes_is_not_taken_for_finished_boxes(tmp_path: Path) -> None:
    boxes, scores = np.zeros((1, 300, 4), F), np.zeros((1, 300, 2), F)
    boxes[0, 2], scores[0, 2] = (0.5, 0.5, 0.2, 0.1), (0.1, 0.8)
    for facts in (RTDETR, {"task": "detect", "head": "RTDETRDecoder", "end2end": "False"}, {}):
        path = joined_outputs(tmp_path / "m.onnx", [boxes, scores], names=NAMES, **facts)
        assert found(detector(path)) == [("hot dog", 0.8, (160, 90, 240, 110))]


def test_ranked_queries_of_newer_rt_detr_exports(tmp_path: Path) -> None:
    boxes, scores = np.zeros((1, 300, 4), F), np.zeros((1, 300, 1), F)
    boxes[0, 2], scores[0, 2] = (0.5, 0.5, 0.2, 0.1), 0.8
    numbers = np.ones((1, 300, 1), np.int64)
    path = joined_outputs(
        tmp_path / "m.onnx", [boxes, scores], numbers, names=NAMES, head="RTDETRDecoder", task="detect"
    )
    assert found(detector(path)) == [("hot dog", 0.8, (160, 90, 240, 110))]


def test_finished_boxes_of_two_classes_stay_finished(tmp_path: Path) -> None:
    boxes, scores = np.zeros((1, 300, 4), F), np.zeros((1, 300, 1), F)
    boxes[0, 2], scores[0, 2] = (40, 45, 60, 55), 0.8
    numbers = np.ones((1, 300, 1), np.int64)
    for facts in ({"task": "detect", "end2end": "True"}, {"task": "detect", "args": "{'nms': True}"}, {}):
        path = joined_outputs(tmp_path / "m.onnx", [boxes, scores], numbers, names=NAMES, **facts)
        assert found(detector(path)) == [("hot dog", 0.8, (160, 80, 240, 120))]


@pytest.mark.parametrize(("end2end", "layout"), [("False", "columns"), ("True", "finished")])
def test_ultralytics_export_with_all_sizes_free(tmp_path: Path, end2end: str, layout: str) -> None:
    """``dynamic=True, simplify=False``: not even the number of rows is in the file."""
    output = np.zeros((1, 300, 6) if layout == "finished" else (1, 6, 50), F)
    if layout == "finished":
        output[0, 2] = (40, 45, 60, 55, 0.9, 1)
    else:
        output[0, :, 7] = [50, 50, 20, 10, 0.1, 0.9]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    facts = {"names": NAMES, "imgsz": "[100, 100]", "task": "detect", "head": "Detect", "end2end": end2end}
    free = {"images": (0, 2, 3), "output0": (0, 1, 2)}
    assert found(detector(reexported(path, facts, free))) == [("hot dog", 0.9, (160, 80, 240, 120))]
    path = fixed_outputs(tmp_path / "old.onnx", {"output0": output})
    del facts["head"], facts["end2end"]  # and this graph does not tell
    with pytest.raises(ModelError, match=r"edgecam\.layout, one of columns"):
        detector(reexported(path, facts, free))
    assert found(detector(reexported(path, {"edgecam.layout": layout}))) == [("hot dog", 0.9, (160, 80, 240, 120))]


@pytest.mark.parametrize(
    ("facts", "shape", "message"),
    [
        ({"end2end": "True"}, (1, 84, 50), "the layout 'finished' for the output output0, but its shape is 1x84x50"),
        ({"edgecam.layout": "grid"}, (1, 6, 50), "edgecam.layout = 'grid'; it must be one of columns"),
        ({"edgecam.labels": "cat"}, (1, 6, 50), "edgecam.labels = 'cat'; it must be a JSON list"),
        ({"names": "{0: 'a', 2: 'b'}"}, (1, 6, 50), "names its classes 0, 2; they must be numbered 0 to 1"),
        ({"names": "{0: 'a', 1: "}, (1, 6, 50), r"metadata names = \"\{0: 'a', 1: \", which is damaged; correct it"),
        ({"edgecam.mean": "[NaN, 0, 0]"}, (1, 6, 50), r"impossible metadata: .*mean \(nan, 0\.0, 0\.0\)"),
        ({"edgecam.std": "[1, 1, -1]"}, (1, 6, 50), r"impossible metadata: .*std \(1\.0, 1\.0, -1\.0\)"),
        ({"edgecam.std": "Infinity"}, (1, 6, 50), r"impossible metadata: .*std \(inf, inf, inf\)"),
    ],
)
def test_metadata_that_contradicts_the_file_is_refused(
    tmp_path: Path, facts: dict[str, str], shape: tuple[int, ...], message: str
) -> None:
    path = reexported(fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros(shape, F)}), {"task": "detect", **facts})
    with pytest.raises(ModelError, match=message):
        detector(path)


@pytest.mark.parametrize(
    "names",
    [
        "{0: 'person', 1: 'hot dog'}",
        "['person', 'hot dog']",
        '{"1": "hot dog", "0": "person"}',
        "('\ufeffperson', ' hot dog ')",
    ],
)
def test_every_legal_form_of_names(tmp_path: Path, names: str) -> None:
    path = reexported(fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)}), {"names": names})
    assert detector(path).labels == ("person", "hot dog")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("dog\t1\ncat\t0\n", ("cat", "dog")),
        ("cat,1\r\ndog,2\r\n", ("cat", "dog")),
        ("gate 2\ngate 1\n", ("gate 2", "gate 1")),  # names
        ('"polar bear"\n"dog"\n', ("polar bear", "dog")),
        ("'0 cat'\n'1 dog'\n", ("cat", "dog")),
    ],
)
def test_labels_may_have_trailing_numbers_and_quotes(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_text(text)
    assert read_labels(tmp_path / "labels.txt") == labels
