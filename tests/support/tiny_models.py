"""ONNX models of under two kilobytes whose outputs depend on the image.

:func:`color_detector` is an SSD in its outputs: the image is cut into 2 x 2 cells, each cell is a box, and the
scores of the classes red, green and blue are the cell's mean in that channel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("BACKGROUND", "red", "green", "blue")
CELLS = np.array([[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]], np.float32)
MEAN, STD = 127.0, 128.0


def color_detector(
    path: Path,
    *,
    size: int = 8,
    batch: int | None = 1,
    metadata: Mapping[str, object] | None = None,
    nan: bool = False,
) -> Path:
    """Write the model; ``batch`` None leaves the batch size free, ``nan`` makes every score NaN."""
    weights: dict[str, np.ndarray] = {
        "std": np.array(STD / 255, np.float32),
        "mean": np.array(MEAN / 255, np.float32),
        "zero": np.array(0, np.float32),
        "cells": CELLS[None],
        "rows": np.array([0, 3, 4], np.int64),
    }
    half = size // 2
    nodes = [
        helper.make_node("AveragePool", ["input_0"], ["pooled"], kernel_shape=[half, half], strides=[half, half]),
        helper.make_node("Mul", ["pooled", "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["shares"]),  # 0..1 per channel
        helper.make_node("Reshape", ["shares", "rows"], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["found"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["found"], ["means"], axes=[2], keepdims=1),
        helper.make_node("Mul", ["means", "zero"], ["nothing"]),
        helper.make_node("Div", ["nothing", "zero"] if nan else ["nothing", "std"], ["background"]),
        helper.make_node("Add", ["found", "background"], ["classes"]),
        helper.make_node("Concat", ["background", "classes"], ["scores"], axis=2),
        helper.make_node("Add", ["nothing", "cells"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "color_detector",
        [helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [batch or "batch", 3, size, size])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch or "batch", 4, 4]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [batch or "batch", 4, 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    facts = {"family": "ssd", "labels": json.dumps(LABELS), "mean": "[127, 127, 127]", "std": "[128, 128, 128]"}
    return save(graph, path, {**facts, "color": "rgb", **(metadata or {})})


def fixed_outputs(
    path: Path, outputs: Mapping[str, np.ndarray], facts: Mapping[str, object] | None = None, size: int = 100
) -> Path:
    """A model with constant outputs, for testing decoders."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])
    nodes = [helper.make_node("Identity", [f"fixed_{name}"], [name]) for name in outputs]
    reported = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in outputs.items()
    ]
    weights = [numpy_helper.from_array(value, f"fixed_{name}") for name, value in outputs.items()]
    return save(helper.make_graph(nodes, "fixed_outputs", [image], reported, weights), path, facts or {})


def save(graph: onnx.GraphProto, path: Path, facts: Mapping[str, object]) -> Path:
    """Write a graph with ``edgecam.*`` metadata; facts that are None are left out."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    given = {f"edgecam.{key}": str(value) for key, value in facts.items() if value is not None}
    helper.set_model_props(model, given)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def quadrants(width: int, height: int) -> np.ndarray:
    """A BGR image whose quarters are red, green, blue and black, in reading order."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 2] = 255
    image[: height // 2, width // 2 :, 1] = 255
    image[height // 2 :, : width // 2, 0] = 255
    return image


def image_folder(folder: Path) -> Path:
    """Create the folder with three images of different sizes, 000000000000.png and so on."""
    folder.mkdir()
    for number, size in enumerate([(64, 48), (100, 80), (33, 33)]):
        cv2.imwrite(str(folder / f"{number:012d}.png"), quadrants(*size))
    return folder
