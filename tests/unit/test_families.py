"""Each head with outputs calculated by hand, through the whole detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgecam_core.errors import InferenceError
from family_models import IMAGE, LABELS, F, detector, found, reexported
from tiny_models import fixed_outputs


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


def test_rt_detr_of_the_ultralytics_exporter(tmp_path: Path) -> None:
    names = "{0: 'a', 1: 'b', 2: 'c'}"
    output = np.zeros((1, 300, 7), F)
    output[0, 2] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.8, 0.1]
    output[0, 3] = [0.5, 0.5, 0.2, 0.1, 0.0, 0.7, 0.1]  # a duplicate: not suppressed
    path = reexported(fixed_outputs(tmp_path / "m.onnx", {"output0": output}), {"names": names, "task": "detect"})
    assert found(detector(path)) == [("b", 0.8, (160, 90, 240, 110)), ("b", 0.7, (160, 90, 240, 110))]


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
