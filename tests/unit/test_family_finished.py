"""Models that contain their own decoding: finished detections of several exporters, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgecam_core.errors import InferenceError, ModelError, SettingError
from family_models import FINISHED, IMAGE, LABELS, TENSORFLOW, F, detector, found, reexported
from onnx import TensorProto, helper, numpy_helper
from tiny_models import fixed_outputs, save


def with_input_type(path: Path, kind: int, shape: list[int | str]) -> Path:
    proto = onnx.load(path)
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("images", kind, shape))
    onnx.save(proto, path)
    return path


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
