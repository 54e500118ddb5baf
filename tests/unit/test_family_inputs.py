"""Inputs of other types and layouts, and the normalisation that the names in a graph imply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from edgecam_core.errors import ModelError
from family_models import FINISHED, F, detector, reexported, with_input
from onnx import TensorProto, helper, numpy_helper
from tiny_models import fixed_outputs, save


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
