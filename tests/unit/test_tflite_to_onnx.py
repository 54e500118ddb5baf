"""The converter against the network's definition in plain loops, and its refusals."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
import pytest
from edgecam_core.errors import ModelError
from edgecam_core.inference.onnxruntime_runner import cpu_session
from edgecam_core.models.coco_labels import LABELS, UNUSED
from edgecam_core.models.tflite.converter import METADATA, convert
from edgecam_core.models.tflite.reader import read
from tiny_ssd import COLUMNS, RELU_MAX, SAME, VALID, TinySsd
from tiny_tflite import Op

NAMES = ("BACKGROUND", "cat", "dog")


def run(model: bytes, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = cpu_session(model)
    scaled = ((pixels.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
    scores, boxes = session.run(["scores", "boxes"], {"input_0": scaled})
    return scores, boxes


def image(size: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (size, size, 3), np.uint8)


@pytest.mark.parametrize(
    "ssd",
    [
        TinySsd(zero=127, padding=SAME),
        TinySsd(zero=127, padding=SAME, size=8),  # SAME pads one side only
        TinySsd(zero=127, padding=SAME, per_axis=True),
        TinySsd(zero=128, padding=VALID),
        TinySsd(zero=0, scale=1 / 255, padding=VALID, seed=6),
    ],
    ids=["same", "even size", "per-axis int8", "zero 128", "0 to 1"],
)
def test_the_converted_network_computes_what_the_definition_says(ssd: TinySsd) -> None:
    pixels = image(ssd.size)
    scores, boxes = run(convert(ssd.bytes(), labels=NAMES), pixels)
    expected_scores, expected_boxes = ssd.reference(pixels)
    assert expected_scores.std() > 0.01  # otherwise the check below proves nothing
    np.testing.assert_allclose(scores[0], expected_scores, atol=2e-5)
    np.testing.assert_allclose(boxes[0], expected_boxes, atol=2e-5)


def test_saturation_at_zero_becomes_its_activation() -> None:
    model = onnx.load_from_string(convert(TinySsd().bytes(), labels=NAMES))
    clipped = [node.input[0] for node in model.graph.node if node.op_type == "Clip"]
    assert clipped == [
        "Conv",
        "depthwise",
        "Conv_1",
    ]  # neither the sum, whose range includes negative values, nor a head
    limits = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    top = next(value for name, value in limits.items() if name.startswith("max_"))
    assert top == pytest.approx(RELU_MAX)


def test_a_border_pixel_of_padding_is_one_grey_level_off_at_most() -> None:
    """The input is (pixel - 127) / 128 also where the original subtracts 128; only padding shows the difference."""
    ssd = TinySsd(zero=128, padding=SAME)
    pixels = image(ssd.size)
    scores, _ = run(convert(ssd.bytes(), labels=NAMES), pixels)
    assert np.abs(scores[0] - ssd.reference(pixels)[0]).max() < 1e-3


def test_the_model_carries_its_facts() -> None:
    data = convert(TinySsd().bytes(), labels=NAMES, unused=[2], metadata={"edgecam.licence": "CC0-1.0"})
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    facts = {item.key: item.value for item in model.metadata_props}
    assert facts.keys() <= METADATA.keys()
    assert json.loads(facts["edgecam.labels"]) == list(NAMES)
    assert (json.loads(facts["edgecam.mean"]), json.loads(facts["edgecam.std"])) == ([127.0] * 3, [128.0] * 3)
    assert (facts["edgecam.family"], facts["edgecam.color"], facts["edgecam.unused"]) == ("ssd", "rgb", "[2]")
    assert facts["edgecam.licence"] == "CC0-1.0"
    assert [item.name for item in model.graph.output] == ["scores", "boxes"]
    assert model.opset_import[0].version == 13


def test_the_ranges_of_the_original_are_kept() -> None:
    data = convert(TinySsd().bytes(), labels=NAMES)
    model = onnx.load_from_string(data)
    facts = {item.key: item.value for item in model.metadata_props}
    ranges, steps = json.loads(facts["edgecam.ranges"]), json.loads(facts["edgecam.steps"])
    tensors = {name for node in model.graph.node for name in (*node.input, *node.output)}
    assert ranges.keys() | steps.keys() <= tensors
    assert ranges["input_0"] == [-127 / 128, 1.0]
    assert all(low <= 0 <= high for low, high in ranges.values())
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    assert steps
    for name, step in steps.items():
        places = weights[name] / step
        assert np.abs(places - np.rint(places)).max() < 1e-3, name


def test_the_same_file_gives_the_same_bytes() -> None:
    first, second = (hashlib.sha256(convert(TinySsd().bytes(), labels=NAMES)).hexdigest() for _ in range(2))
    assert first == second


def test_an_unused_column_never_scores() -> None:
    ssd = TinySsd()
    pixels = image(ssd.size)
    scores, _ = run(convert(ssd.bytes(), labels=NAMES, unused=[1]), pixels)
    assert scores[0, :, 1].max() == 0
    np.testing.assert_allclose(scores[0, :, [0, 2]], ssd.reference(pixels)[0][:, [0, 2]].T, atol=2e-5)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"class head has 6 channels, no multiple of 4 labels"):
        convert(TinySsd().bytes(), labels=[*NAMES, "cow"])


def test_an_unknown_operator_is_named() -> None:
    ssd = TinySsd()
    ssd.ops.insert(1, Op("TANH", [3], [3]))
    with pytest.raises(ModelError, match="operator builtin 28 is not supported"):
        convert(ssd.bytes(), labels=NAMES)


def test_a_network_that_is_not_a_detector_is_refused() -> None:
    ssd = TinySsd()
    ssd.ops.pop()
    with pytest.raises(ModelError, match="the last operator is LOGISTIC"):
        convert(ssd.bytes(), labels=NAMES)


def test_another_file_is_not_taken_for_tflite() -> None:
    with pytest.raises(ModelError, match="not a TensorFlow Lite file"):
        read(b"<!DOCTYPE html><html>sign in to the network</html>")


@pytest.mark.parametrize("keep", [8, 40, 0.3, 0.6])
def test_a_file_cut_short_is_refused(keep: float) -> None:
    data = TinySsd().bytes()
    with pytest.raises(ModelError, match="damaged"):
        read(data[: int(keep if keep > 1 else keep * len(data))])


def test_coco_has_eighty_classes_and_ten_gaps() -> None:
    assert len(LABELS) == 91
    assert len(set(LABELS)) == 91
    assert sorted(UNUSED) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert (LABELS[0], LABELS[1], LABELS[17], LABELS[25], LABELS[90]) == (
        "BACKGROUND", "person", "cat", "giraffe", "toothbrush",
    )  # fmt: skip
    assert len(LABELS) - 1 - len(UNUSED) == 80
    assert len(NAMES) == COLUMNS
