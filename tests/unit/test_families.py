"""Each head with outputs calculated by hand, through the whole detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgecam_core.errors import InferenceError, ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import open_family
from edgecam_core.models.labels import read_labels
from onnx import TensorProto, helper, numpy_helper
from tiny_models import fixed_outputs, save

IMAGE = np.zeros((200, 400, 3), np.uint8)  # twice as wide as high; the networks here have inputs of 100 x 100
F = np.float32


def detector(path: Path, **settings: object) -> Detector:
    return Detector.open(DetectorSettings(model=str(path), backend="onnxruntime", threads=1, **settings))  # type: ignore[arg-type]


def found(subject: Detector) -> list[tuple[str, float, tuple[int, ...]]]:
    return [
        (item.label, round(item.score, 3), tuple(round(value) for value in item.box)) for item in subject.detect(IMAGE)
    ]


def test_yolo_with_scores_in_columns(tmp_path: Path) -> None:
    output = np.zeros((1, 4 + 2, 50), F)
    output[0, :, 7] = [50, 50, 20, 10, 0.1, 0.9]
    output[0, :, 8] = [51, 50, 20, 10, 0.0, 0.8]  # the same object again
    output[0, :, 9] = [20, 40, 10, 10, 0.7, 0.0]
    subject = detector(fixed_outputs(tmp_path / "m.onnx", {"output0": output}, {"labels": '["cat", "dog"]'}))
    # Letterboxed: 400x200 is 100x50 between bars of 25 rows, so a network pixel is 4 source pixels.
    assert found(subject) == [("dog", 0.9, (160, 80, 240, 120)), ("cat", 0.7, (60, 40, 100, 80))]
    assert subject.family.name == "yolo"


def test_yolo_with_objectness(tmp_path: Path) -> None:
    output = np.zeros((1, 2000, 5 + 3), F)
    output[0, 3] = [50, 50, 20, 10, 0.9, 0.0, 0.8, 0.1]
    output[0, 4] = [20, 40, 10, 10, 0.55, 0.9, 0.0, 0.0]  # 0.495: below the threshold
    subject = detector(fixed_outputs(tmp_path / "m.onnx", {"output": output}))
    assert found(subject) == [("class 1", 0.72, (160, 80, 240, 120))]


def test_yolo_without_nms_is_decoded(tmp_path: Path) -> None:
    output = np.zeros((1, 300, 6), F)
    output[0, 0] = [40, 45, 60, 55, 0.9, 1]
    output[0, 1] = [40, 45, 60, 55, 0.8, 1]  # its result is final
    output[0, 2] = [40, 45, 60, 55, 0.4, 77]  # no such class, but with a low score
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output}, {"labels": '["cat", "dog"]'})
    assert found(detector(path)) == [("dog", 0.9, (160, 80, 240, 120)), ("dog", 0.8, (160, 80, 240, 120))]


def reexported(path: Path, metadata: dict[str, str], free: dict[str, tuple[int, ...]] | None = None) -> Path:
    """The model as written by another exporter: its own metadata, and dynamic sizes."""
    proto = onnx.load(path)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    for tensor in (*proto.graph.input, *proto.graph.output):
        for place in (free or {}).get(tensor.name, ()):
            tensor.type.tensor_type.shape.dim[place].dim_param = f"{tensor.name}_{place}"
    onnx.save(proto, path)
    return path


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


def test_rt_detr_of_the_ultralytics_exporter(tmp_path: Path) -> None:
    names = "{0: 'a', 1: 'b', 2: 'c'}"
    output = np.zeros((1, 300, 7), F)
    output[0, 2] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.8, 0.1]
    output[0, 3] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.7, 0.1]  # a duplicate: not suppressed
    path = reexported(fixed_outputs(tmp_path / "m.onnx", {"output0": output}), {"names": names, "task": "detect"})
    assert found(detector(path)) == [("b", 0.8, (160, 90, 240, 110)), ("b", 0.7, (160, 90, 240, 110))]


@pytest.mark.parametrize(
    ("outputs", "task"),
    [({"output0": (1, 56, 50)}, "pose"), ({"output0": (1, 38, 50), "output1": (1, 32, 9, 9)}, "segment")],
)
def test_another_task_than_detection_is_named(tmp_path: Path, outputs: dict[str, tuple[int, ...]], task: str) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {name: np.zeros(shape, F) for name, shape in outputs.items()})
    with pytest.raises(ModelError, match=f"task '{task}'"):
        open_family(ModelFile.read(reexported(path, {"names": NAMES, "task": task})))


def with_input(path: Path, name: str, kind: int, shape: list[int]) -> Path:
    proto = onnx.load(path)
    proto.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.save(proto, path)
    return path


def test_an_additional_input_is_named(tmp_path: Path) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)})
    with pytest.raises(ModelError, match="needs the inputs im_shape besides the image"):
        open_family(ModelFile.read(with_input(path, "im_shape", TensorProto.FLOAT, [1, 2])))


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


@pytest.mark.parametrize("tensors", [("logits", "pred_boxes"), ("labels", "dets")])  # the latter are RF-DETR's
def test_detr_with_sigmoid(tmp_path: Path, tensors: tuple[str, str]) -> None:
    logits = np.full((1, 10, 3), -9, F)
    boxes = np.full((1, 10, 4), 0.5, F)
    logits[0, 2, 1], boxes[0, 2] = logit(0.8), (0.5, 0.5, 0.2, 0.1)
    logits[0, 3, 1], boxes[0, 3] = logit(0.7), (0.5, 0.5, 0.2, 0.1)  # a duplicate: DETR's are not suppressed
    outputs = dict(zip(tensors, (logits, boxes), strict=True))
    path = fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": '["a", "b", "c"]'})
    assert found(detector(path)) == [("b", 0.8, (160, 90, 240, 110)), ("b", 0.7, (160, 90, 240, 110))]


def test_detr_with_softmax_omits_the_no_object_class(tmp_path: Path) -> None:
    logits = np.zeros((1, 10, 4), F)
    logits[0, :, 3] = 9  # no object
    logits[0, 5] = [0, 9, 0, 0]
    boxes = np.full((1, 10, 4), 0.5, F)
    facts = {"activation": "softmax"}
    subject = detector(fixed_outputs(tmp_path / "m.onnx", {"logits": logits, "boxes": boxes}, facts))
    assert subject.labels == ("class 0", "class 1", "class 2")
    assert found(subject) == [("class 1", 1.0, (100, 50, 300, 150))]


LABELS = json.dumps(["BACKGROUND", "cat", "dog"])


def test_tensorflows_detections(tmp_path: Path) -> None:
    outputs = {
        "detection_boxes": np.array([[[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1]]], F),
        "detection_classes": np.array([[2, 1]], F),
        "detection_scores": np.array([[0.9, 0.4]], F),
        "num_detections": np.array([2], F),
    }
    subject = detector(fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": LABELS}))
    assert found(subject) == [("dog", 0.9, (80, 20, 240, 100))]
    assert subject.classes() == [(1, "cat"), (2, "dog")]


def test_torchvisions_detections(tmp_path: Path) -> None:
    outputs = {
        "boxes": np.array([[20, 10, 60, 50], [0, 0, 9, 9]], F),
        "labels": np.array([1, 2], np.int64),
        "scores": np.array([0.6, 0.8], F),
    }
    subject = detector(fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": LABELS}))
    assert found(subject) == [("dog", 0.8, (0, 0, 36, 18)), ("cat", 0.6, (80, 20, 240, 100))]


def test_tensorrts_nms_plugin(tmp_path: Path) -> None:
    outputs = {
        "num_dets": np.array([[1]], np.int32),
        "det_boxes": np.array([[[20, 10, 60, 50], [0, 0, 0, 0]]], F),
        "det_scores": np.array([[0.6, 0]], F),
        "det_classes": np.array([[1, -1]], np.int32),
    }
    subject = detector(fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": '["cat", "dog"]'}))
    assert found(subject) == [("dog", 0.6, (80, 20, 240, 100))]


@pytest.mark.parametrize(
    "outputs",
    [
        {"output0": np.full((1, 6, 50), np.nan, F)},
        {"logits": np.full((1, 5, 3), np.nan, F), "boxes": np.zeros((1, 5, 4), F)},
    ],
)
def test_outputs_with_nan_are_an_error(tmp_path: Path, outputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(InferenceError, match="not numbers"):
        detector(fixed_outputs(tmp_path / "m.onnx", outputs)).detect(IMAGE)


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


# The tensors that a graph concatenates into its output distinguish two layouts of one shape.


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


def test_an_anchor_gives_its_best_class_only(tmp_path: Path) -> None:
    """As in Ultralytics' own predict; multi_label is for its validation."""
    output = np.zeros((1, 6, 50), F)
    output[0, :, 7] = [50, 50, 20, 10, 0.7, 0.9]
    output[0, :, 9] = [20, 40, 10, 10, 0.7, 0.6]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output}, {"labels": '["cat", "dog"]'})
    assert [item[:2] for item in found(detector(path))] == [("dog", 0.9), ("cat", 0.7)]
    assert [item[:2] for item in found(detector(path, classes=("cat",)))] == [("cat", 0.7)]


def test_suppression_across_classes_on_request(tmp_path: Path) -> None:
    output = np.zeros((1, 6, 50), F)
    output[0, :, 7] = [50, 50, 20, 10, 0.0, 0.89]
    output[0, :, 8] = [51, 50, 20, 10, 0.69, 0.0]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output}, {"labels": '["car", "truck"]'})
    assert [item[0] for item in found(detector(path))] == ["truck", "car"]
    assert [item[0] for item in found(detector(path, agnostic_nms=True))] == ["truck"]


def test_boxes_are_suppressed_before_they_are_clipped(tmp_path: Path) -> None:
    """Two boxes that overlap in a corner of the image only."""
    scores, boxes = np.zeros((1, 2, 2), F), np.zeros((1, 2, 4), F)
    scores[0, :, 1] = (0.9, 0.8)
    boxes[0] = [(-0.4, 0.0, 0.1, 0.2), (-0.05, -0.2, 0.1, 0.2)]
    path = fixed_outputs(tmp_path / "m.onnx", {"scores": scores, "boxes": boxes})
    assert found(detector(path)) == [("class 1", 0.9, (0, 0, 40, 40)), ("class 1", 0.8, (0, 0, 40, 40))]


# Inputs of other types and layouts.


def brightest_value_model(path: Path, kind: int, shape: list[int | str], facts: dict[str, str] | None = None) -> Path:
    """A YOLO model with one box whose score is the largest input value divided by 255."""
    image = helper.make_tensor_value_info("images", kind, shape)
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 50])
    base = np.zeros((1, 6, 50), F)
    base[0, :4, 0] = [50, 50, 20, 10]
    where = np.zeros((1, 6, 50), F)
    where[0, 4, 0] = 1 / 255
    weights = [numpy_helper.from_array(base, "base"), numpy_helper.from_array(where, "where")]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["most"], keepdims=0),
        helper.make_node("Mul", ["where", "most"], ["lit"]),
        helper.make_node("Add", ["base", "lit"], ["output0"]),
    ]
    return reexported(save(helper.make_graph(nodes, "g", [image], [output], weights), path, {}), facts or {})


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (TensorProto.UINT8, [1, 3, 100, 100]),
        (TensorProto.INT32, [1, 3, 100, 100]),
        (TensorProto.UINT8, [1, 100, 100, 3]),
        (TensorProto.UINT8, ["batch", 100, 100, 3]),
    ],
)
def test_integer_inputs_get_unscaled_pixels(tmp_path: Path, kind: int, shape: list[int | str]) -> None:
    subject = detector(brightest_value_model(tmp_path / "m.onnx", kind, shape))
    (item,) = subject.detect(np.full((200, 400, 3), 204, np.uint8))
    assert item.score == pytest.approx(204 / 255)


def test_channels_last_is_fed_channels_last(tmp_path: Path) -> None:
    path = brightest_value_model(tmp_path / "m.onnx", TensorProto.FLOAT, [1, 100, 100, 3], {"edgecam.std": "1"})
    assert detector(path).family.spec.layout == "nhwc"
    (item,) = detector(path).detect(np.full((200, 400, 3), 204, np.uint8))
    assert item.score == pytest.approx(204 / 255)


@pytest.mark.parametrize(
    ("kind", "shape", "facts", "message"),
    [
        (TensorProto.UINT8, [1, 3, 100, 100], {"edgecam.std": "255"}, "takes pixels as uint8, but its metadata has"),
        (TensorProto.INT8, [1, 3, 100, 100], {}, "takes images as int8; edgecam feeds"),
        (TensorProto.FLOAT, [1, 1, 100, 100], {}, "takes grey images"),
        (TensorProto.FLOAT, [1, 5, 100, 100], {}, "has no input of shape Nx3xHxW or NxHxWx3"),
        (TensorProto.FLOAT, [1, 3, 100, 100], {"edgecam.width": "99"}, "edgecam.width = 99, but its input is 100"),
        (TensorProto.FLOAT, [1, 3, "h", "w"], {}, "leaves its input size open"),
    ],
)
def test_an_input_that_cannot_be_fed_is_refused(
    tmp_path: Path, kind: int, shape: list[int | str], facts: dict[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        detector(brightest_value_model(tmp_path / "m.onnx", kind, shape, facts))


# Finished detections.


def with_input_type(path: Path, kind: int, shape: list[int | str]) -> Path:
    proto = onnx.load(path)
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", kind, shape))
    onnx.save(proto, path)
    return path


TENSORFLOW = {
    "detection_boxes": np.array([[[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1]]], F),
    "detection_classes": np.array([[2, 1]], F),
    "detection_scores": np.array([[0.9, 0.8]], F),
    "num_detections": np.array([1], F),  # the second row is unused
}


def test_tensorflows_export_takes_unscaled_images(tmp_path: Path) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", TENSORFLOW, {"labels": LABELS})
    subject = detector(with_input_type(path, TensorProto.UINT8, [1, "h", "w", 3]))
    assert found(subject) == [("dog", 0.9, (80, 20, 240, 100))]
    assert subject.prepare(IMAGE).tensor.shape == (1, 200, 400, 3)
    assert subject.prepare(np.zeros((2000, 3000, 3), np.uint8)).tensor.shape == (1, 889, 1333, 3)


def test_torchvisions_export_of_one_image(tmp_path: Path) -> None:
    """Its input is [3, H, W], its outputs are named by numbers; boxes are in pixels of the input."""
    outputs = {"2120": np.array([[20, 10, 60, 50]], F), "2089": np.array([0.6], F), "2090": np.array([1], np.int64)}
    path = fixed_outputs(tmp_path / "m.onnx", outputs)
    with_input_type(path, TensorProto.FLOAT, [3, 100, 100])
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    assert found(detector(path)) == [("cat", 0.6, (80, 20, 240, 100))]
    assert detector(path).detect_batch([IMAGE, IMAGE])[1].labels == ("BACKGROUND", "cat", "dog")
    with_input_type(path, TensorProto.FLOAT, [3, "h", "w"])
    assert found(detector(path)) == [("cat", 0.6, (20, 10, 60, 50))]


@pytest.mark.parametrize("batch", [1, 2])
def test_rt_detr_with_its_postprocessor(tmp_path: Path, batch: int) -> None:
    """``orig_target_sizes`` determines the boxes: they are the sizes times 0.1 to 0.5."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 100, 50])
    sizes = helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["n", 2])
    outputs = [
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["n", 1]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 1, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1]),
    ]
    weights = [
        numpy_helper.from_array(np.array([0.1, 0.1, 0.5, 0.5], F), "place"),
        numpy_helper.from_array(np.array([0.9], F), "sure"),
        numpy_helper.from_array(np.array([-1, 1, 4], np.int64), "shape"),
    ]
    nodes = [
        helper.make_node("Cast", ["orig_target_sizes"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["whole", "whole"], ["four"], axis=1),
        helper.make_node("Mul", ["four", "place"], ["placed"]),
        helper.make_node("Reshape", ["placed", "shape"], ["boxes"]),
        helper.make_node("ReduceMin", ["whole"], ["least"], axes=[1], keepdims=1),
        helper.make_node("Div", ["least", "least"], ["one"]),
        helper.make_node("Mul", ["one", "sure"], ["scores"]),
        helper.make_node("Cast", ["one"], ["labels"], to=TensorProto.INT64),
    ]
    path = save(helper.make_graph(nodes, "g", [image, sizes], outputs, weights), tmp_path / "m.onnx", {})
    subject = detector(path, labels=str(labels_file(tmp_path, "cat", "dog")), max_batch=batch)
    for detections in subject.detect_batch([IMAGE] * batch):
        ((label, box),) = [(item.label, item.box) for item in detections]
        assert (label, box) == ("dog", pytest.approx((40, 20, 200, 100)))


def labels_file(folder: Path, *labels: str, encoding: str = "utf-8") -> Path:
    path = folder / "given.txt"
    path.write_text("\n".join(labels) + "\n", encoding=encoding)
    return path


FINISHED: dict[str, dict[str, np.ndarray]] = {
    "end-to-end YOLO": {"output0": np.array([[[40, 45, 60, 55, 0.9, 1]] + [[0] * 6] * 9], F)},
    "TensorFlow": TENSORFLOW,
    "EfficientNMS": {
        "num_dets": np.array([[1]], np.int32),
        "det_boxes": np.array([[[20, 10, 60, 50]]], F),
        "det_scores": np.array([[0.9]], F),
        "det_classes": np.array([[1]], np.int32),
    },
    "torchvision": {
        "boxes": np.array([[20, 10, 60, 50]], F),
        "labels": np.array([2], np.int64),
        "scores": np.array([0.9], F),
    },
    "RT-DETR": {
        "labels": np.array([[1]], np.int64),
        "boxes": np.array([[[20, 10, 60, 50]]], F),
        "scores": np.array([[0.9]], F),
    },
}


@pytest.mark.parametrize("name", FINISHED)
def test_labels_given_are_honoured_by_every_finished_layout(tmp_path: Path, name: str) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", FINISHED[name])
    for labels in (("cat", "dog"), ("BACKGROUND", "cat", "dog"), ("???", "cat", "dog")):
        subject = detector(path, labels=str(labels_file(tmp_path, *labels)))
        assert [item[:2] for item in found(subject)] == [("dog", 0.9)]
        assert [label for _, label in subject.classes()] == ["cat", "dog"]
    with pytest.raises(InferenceError, match=r"reports class \d, but its labels name classes [01] to"):
        detector(path, labels=str(labels_file(tmp_path, "cat"))).detect(IMAGE)
    reexported(path, {"edgecam.labels": '["a", "b", "c", "d"]'})
    with pytest.raises(SettingError, match="has 2 labels, but the model has 4 classes"):
        detector(path, labels=str(labels_file(tmp_path, "cat", "dog")))


def test_an_extra_column_of_scores_is_the_no_object_class(tmp_path: Path) -> None:
    logits, boxes = np.zeros((1, 10, 3), F), np.full((1, 10, 4), 0.5, F)
    logits[0, :, 2] = 9
    logits[0, 5] = [0, 9, 8.9]
    path = fixed_outputs(tmp_path / "m.onnx", {"logits": logits, "pred_boxes": boxes}, {"labels": '["cat", "dog"]'})
    assert [item[:2] for item in found(detector(path))] == [("dog", 0.525)]  # a softmax, not a sigmoid
    path = fixed_outputs(tmp_path / "m.onnx", {"labels": logits, "dets": boxes}, {"labels": '["cat", "dog"]'})
    assert [item[:2] for item in found(detector(path))] == [("dog", 1.0)]  # RF-DETR has an unused column, and a sigmoid


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"output0": np.array([[[0.4, 0.45, 0.6, 0.55, 0.9, 1]] * 10], F)}, "must be pixels of the input"),
        ({"output0": np.array([[[40, 45, 60, 55, 9.5, 1]] * 10], F)}, "a score of 9.5, not a probability"),
        (
            {"scores": np.array([[[0.1, 0.0, 0.9]]], F), "boxes": np.array([[[40, 45, 60, 55]]], F)},
            "must be fractions of the input",
        ),
    ],
)
def test_outputs_that_contradict_their_layout_are_refused(
    tmp_path: Path, outputs: dict[str, np.ndarray], message: str
) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", outputs)
    with pytest.raises(InferenceError, match=message):
        detector(path, labels=str(labels_file(tmp_path, "cat", "dog"))).detect(IMAGE)


FRACTIONS, IMAGENET = (0, 0, 0), (123.675, 116.28, 103.53)


@pytest.mark.parametrize(
    ("names", "mean"),
    [
        (["decoder.layers.0.fc1.weight"], IMAGENET),  # DETR
        (["encoder.fpn_blocks.0.conv1.conv.weight"], FRACTIONS),  # RT-DETR, D-FINE
        (["encoder.fpn_block.conv1.conv.weight"], FRACTIONS),  # DEIMv2's Atto, Femto and Pico
        (["encoder.fpn_blocks.0.conv1.conv.weight", "conv_encoder.spatial_tuning_adapter.conv2.weight"], IMAGENET),
    ],
)
def test_hugging_faces_transformers_are_normalised_as_in_training(
    tmp_path: Path, names: list[str], mean: tuple[float, float, float]
) -> None:
    """Their exports differ in nothing but the names in the graph."""
    outputs = {"logits": np.zeros((1, 10, 3), F), "pred_boxes": np.zeros((1, 10, 4), F)}
    spec = detector(with_weights(fixed_outputs(tmp_path / "m.onnx", outputs), *names)).family.spec
    assert spec.mean == mean
    assert spec.std == ((255, 255, 255) if mean is FRACTIONS else (58.395, 57.12, 57.375))


def with_weights(path: Path, *names: str) -> Path:
    proto = onnx.load(path)
    proto.graph.initializer.extend(numpy_helper.from_array(np.zeros(1, F), name) for name in names)
    onnx.save(proto, path)
    return path


def test_deimv2_with_dinov3_and_its_postprocessor_takes_imagenets_normalisation(tmp_path: Path) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", FINISHED["RT-DETR"], {"labels": '["cat", "dog"]'})
    with_input(path, "orig_target_sizes", TensorProto.INT64, [1, 2])
    assert detector(path).family.spec.mean == FRACTIONS
    with_weights(path, "model.backbone.dinov3.blocks.0.attn.qkv.weight", "model.encoder.fpn_blocks.0.cv1.conv.weight")
    assert detector(path).family.spec.mean == IMAGENET


def test_outputs_that_differ_from_the_files_are_an_error(tmp_path: Path) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((0, 6, 50), F)})
    proto = onnx.load(path)
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 6, 50]))
    onnx.save(proto, path)
    with pytest.raises(InferenceError, match=r"contradict its file \(output0 0x6x50\)"):
        detector(path).detect(IMAGE)


def yolox(path: Path, decoded: bool) -> Path:
    """One level of its head, with 1 x 1 cells: boxes, objectness and scores, concatenated, flattened and transposed."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 100, 100])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 10000, 7])
    weights = [numpy_helper.from_array(np.full((size, 3, 1, 1), 0.1, F), f"w{size}") for size in (4, 3)]
    weights += [
        numpy_helper.from_array(np.array(value), name) for name, value in (("flat", [1, 7, -1]), ("step", F(8)))
    ]
    nodes = [
        helper.make_node("Conv", ["images", "w4"], ["offsets"], name="/head/reg_preds.0/Conv"),
        helper.make_node("Conv", ["images", "w3"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["likely"]),
        helper.make_node("Mul", ["offsets", "step"], ["pixels"]),
        helper.make_node("Concat", ["pixels" if decoded else "offsets", "likely"], ["joined"], axis=1),
        helper.make_node("Reshape", ["joined", "flat"], ["flattened"]),
        helper.make_node("Concat", ["flattened"], ["levels"], axis=2),
        helper.make_node("Transpose", ["levels"], ["output"], perm=[0, 2, 1]),
    ]
    return save(helper.make_graph(nodes, "g", [image], [output], weights), path, {})


def test_boxes_that_are_not_decoded_are_refused(tmp_path: Path) -> None:
    """YOLOX's exporter decodes only on request; the shape is the same."""
    with pytest.raises(ModelError, match=r"not decoded: .*convolution /head/reg_preds.0/Conv; .*decode_in_inference"):
        detector(yolox(tmp_path / "m.onnx", decoded=False))
    assert detector(yolox(tmp_path / "m.onnx", decoded=True)).labels == ("class 0", "class 1")


def test_yolov7_exported_with_end2end_is_decoded(tmp_path: Path) -> None:
    rows = np.array([[0, 40, 45, 60, 55, 1, 0.72], [0, 10, 30, 20, 40, 0, 0.2], [1, 0, 0, 9, 9, 0, 0.9]], F)
    path = fixed_outputs(tmp_path / "m.onnx", {"output": rows}, {"labels": LABELS})
    assert found(detector(path)) == [("dog", 0.72, (160, 80, 240, 120))]
    rows[0, 5] = 2
    path = fixed_outputs(tmp_path / "m2.onnx", {"output": rows}, {"labels": LABELS})
    with pytest.raises(InferenceError, match="class 2, but its labels name classes 0 to 1"):
        detector(path).detect(IMAGE)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"detection_out": (1, 1, 100, 7)}, "DetectionOutput of Caffe"),
        ({"mbox_loc": (1, 7668), "mbox_conf_flatten": (1, 40257)}, "mbox_loc and mbox_conf before decoding"),
        ({"loc": (1, 7668), "conf": (1, 40248), "prior": (1, 2, 7668)}, "mbox_loc and mbox_conf before decoding"),
        ({"detections:0": (1, 100, 7)}, "'detections' of AutoML's EfficientDet"),
        ({"dets": (1, 100, 5), "labels": (1, 100)}, "those of MMDeploy"),
        ({"save_infer_model/scale_0.tmp_0": (100, 6)}, "that of PaddleDetection"),
    ],
)
def test_layouts_of_other_exporters_are_refused_by_name(
    tmp_path: Path, outputs: dict[str, tuple[int, ...]], reason: str
) -> None:
    arrays = {name: np.zeros(shape, F) for name, shape in outputs.items()}
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(ModelError, match=rf"{reason}.*export"):
        detector(fixed_outputs(tmp_path / "m.onnx", arrays))


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
