"""Each head with outputs worked out by hand, through the whole detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from edgecam_core.errors import InferenceError, ModelError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.family import open_family
from tiny_models import fixed_outputs

IMAGE = np.zeros((200, 400, 3), np.uint8)  # twice as wide as high; networks here see 100 x 100
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
    output[0, :, 8] = [51, 50, 20, 10, 0.0, 0.8]  # the same thing once more
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


def test_yolo_that_needs_no_suppression(tmp_path: Path) -> None:
    output = np.zeros((1, 300, 6), F)
    output[0, 0] = [40, 45, 60, 55, 0.9, 1]
    output[0, 1] = [40, 45, 60, 55, 0.8, 1]  # its word is final
    output[0, 2] = [40, 45, 60, 55, 0.8, 77]  # no such class
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output}, {"labels": '["cat", "dog"]'})
    assert found(detector(path)) == [("dog", 0.9, (160, 80, 240, 120)), ("dog", 0.8, (160, 80, 240, 120))]


def told(path: Path, metadata: dict[str, str], free: dict[str, tuple[int, ...]] | None = None) -> Path:
    """The model as another exporter writes it: its own metadata, and sizes left open."""
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
    path = told(fixed_outputs(tmp_path / "m.onnx", {"output0": np.zeros((1, 6, 50), F)}), {"names": NAMES})
    assert detector(path).labels == ("person", "hot dog")


def test_ultralytics_export_with_free_sizes(tmp_path: Path) -> None:
    output = np.zeros((1, 6, 50), F)
    output[0, :, 7] = [50, 50, 20, 10, 0.1, 0.9]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    told(path, {"names": NAMES, "imgsz": "[100, 100]", "task": "detect"}, {"images": (0, 2, 3), "output0": (0, 2)})
    assert found(detector(path)) == [("hot dog", 0.9, (160, 80, 240, 120))]


def test_yolov5_export_with_free_sizes(tmp_path: Path) -> None:
    output = np.zeros((1, 50, 7), F)
    output[0, 3] = [50, 50, 20, 10, 0.9, 0.0, 0.8]
    path = fixed_outputs(tmp_path / "m.onnx", {"output0": output})
    told(path, {"names": "['cat', 'dog']", "imgsz": "[100, 100]"}, {"images": (0, 2, 3), "output0": (0, 1)})
    assert found(detector(path)) == [("dog", 0.72, (160, 80, 240, 120))]


def test_rt_detr_of_the_ultralytics_exporter(tmp_path: Path) -> None:
    names = "{0: 'a', 1: 'b', 2: 'c'}"
    output = np.zeros((1, 300, 7), F)
    output[0, 2] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.8, 0.1]
    output[0, 3] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.7, 0.1]  # a twin: not suppressed
    path = told(fixed_outputs(tmp_path / "m.onnx", {"output0": output}), {"names": names, "task": "detect"})
    assert found(detector(path)) == [("b", 0.8, (160, 90, 240, 110)), ("b", 0.7, (160, 90, 240, 110))]


@pytest.mark.parametrize(
    ("outputs", "task"),
    [({"output0": (1, 56, 50)}, "pose"), ({"output0": (1, 38, 50), "output1": (1, 32, 9, 9)}, "segment")],
)
def test_another_task_than_detection_is_named(tmp_path: Path, outputs: dict[str, tuple[int, ...]], task: str) -> None:
    path = fixed_outputs(tmp_path / "m.onnx", {name: np.zeros(shape, F) for name, shape in outputs.items()})
    with pytest.raises(ModelError, match=f"task '{task}'"):
        open_family(ModelFile.read(told(path, {"names": NAMES, "task": task})))


def test_an_input_beside_the_image_is_named(tmp_path: Path) -> None:
    outputs = {"labels": np.zeros((1, 9), np.int64), "boxes": np.zeros((1, 9, 4), F), "scores": np.zeros((1, 9), F)}
    path = fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": '["BACKGROUND", "cat"]'})
    proto = onnx.load(path)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("orig_target_sizes", onnx.TensorProto.INT64, [1, 2]))
    onnx.save(proto, path)
    with pytest.raises(ModelError, match="wants orig_target_sizes beside the image"):
        open_family(ModelFile.read(path))


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


@pytest.mark.parametrize("tensors", [("logits", "pred_boxes"), ("labels", "dets")])  # the latter are RF-DETR's
def test_detr_with_sigmoid(tmp_path: Path, tensors: tuple[str, str]) -> None:
    logits = np.full((1, 10, 3), -9, F)
    boxes = np.full((1, 10, 4), 0.5, F)
    logits[0, 2, 1], boxes[0, 2] = logit(0.8), (0.5, 0.5, 0.2, 0.1)
    logits[0, 3, 1], boxes[0, 3] = logit(0.7), (0.5, 0.5, 0.2, 0.1)  # a twin: DETR is not suppressed
    outputs = dict(zip(tensors, (logits, boxes), strict=True))
    path = fixed_outputs(tmp_path / "m.onnx", outputs, {"labels": '["a", "b", "c"]'})
    assert found(detector(path)) == [("b", 0.8, (160, 90, 240, 110)), ("b", 0.7, (160, 90, 240, 110))]


def test_detr_with_softmax_leaves_no_object_out(tmp_path: Path) -> None:
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
def test_not_a_number_is_an_error(tmp_path: Path, outputs: dict[str, np.ndarray]) -> None:
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
        ({"output0": np.zeros((1, 7, 7), F)}, {}, "do not fit any of the families"),
    ],
)
def test_what_a_model_leaves_open_is_said(
    tmp_path: Path, outputs: dict[str, np.ndarray], facts: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        open_family(ModelFile.read(fixed_outputs(tmp_path / "m.onnx", outputs, facts)))
