"""A model as pytorch-ssd's onnx_export.py writes it: random weights, but its exact priors, names and decoding."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tiny_models import save

CLASSES = 8
LEVELS = [(19, 16, 60, 105), (10, 32, 105, 150), (5, 64, 150, 195), (3, 100, 195, 240), (2, 150, 240, 285)]
LEVELS += [(1, 300, 285, 330)]


def reference_priors() -> list[tuple[float, float, float, float]]:
    """cx cy w h, clipped to 0..1; six per cell: small and large square, then ratios 2, 1/2, 3 and 1/3."""
    priors = []
    for cells, shrinkage, low, high in LEVELS:
        scale = 300 / shrinkage
        for row in range(cells):
            for column in range(cells):
                cx, cy = (column + 0.5) / scale, (row + 0.5) / scale
                priors.append((cx, cy, low / 300, low / 300))
                priors.append((cx, cy, math.sqrt(low * high) / 300, math.sqrt(low * high) / 300))
                for ratio in (2, 3):
                    priors.append((cx, cy, low / 300 * math.sqrt(ratio), low / 300 / math.sqrt(ratio)))
                    priors.append((cx, cy, low / 300 / math.sqrt(ratio), low / 300 * math.sqrt(ratio)))
    return [tuple(min(max(value, 0.0), 1.0) for value in prior) for prior in priors]  # type: ignore[misc]


def export(path: Path) -> Path:
    """Like onnx_export.py: ``input_0`` to ``scores`` and ``boxes``; also ``raw_*``, the input of the reference."""
    random = np.random.default_rng(3)
    weights: dict[str, np.ndarray] = {}
    nodes = []
    confidences, locations = [], []
    for number, (cells, *_) in enumerate(LEVELS):
        # One convolution per level straight from the frame; stride and kernel make it cells x cells.
        stride = 300 // cells
        kernel = 300 - stride * (cells - 1)
        for kind, columns, spread in (("conf", CLASSES, 0.9), ("loc", 4, 0.6)):
            shape = (6 * columns, 3, kernel, kernel)
            weights[f"w_{kind}{number}"] = (random.normal(0, spread / kernel, shape)).astype(np.float32)
            nodes.append(
                helper.make_node("Conv", ["input_0", f"w_{kind}{number}"], [f"{kind}{number}"], strides=[stride] * 2)
            )
            nodes.append(helper.make_node("Transpose", [f"{kind}{number}"], [f"{kind}t{number}"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"{kind}t{number}", f"to_{kind}"], [f"{kind}r{number}"]))
        confidences.append(f"confr{number}")
        locations.append(f"locr{number}")
    priors = np.array(reference_priors(), np.float32)[None]
    weights |= {"p_center": priors[..., :2], "p_size": priors[..., 2:]}
    weights |= {"to_conf": np.array([1, -1, CLASSES]), "to_loc": np.array([1, -1, 4])}
    weights |= {"cv": np.array(0.1, np.float32), "sv": np.array(0.2, np.float32), "two": np.array(2, np.float32)}
    weights |= {"halves": np.array([2, 2])}
    nodes += [
        helper.make_node("Concat", confidences, ["raw_scores"], axis=1),
        helper.make_node("Softmax", ["raw_scores"], ["scores"], axis=2),
        helper.make_node("Concat", locations, ["raw_boxes"], axis=1),
        helper.make_node("Split", ["raw_boxes", "halves"], ["l_center", "l_size"], axis=2),
        helper.make_node("Mul", ["l_center", "cv"], ["a"]),
        helper.make_node("Mul", ["a", "p_size"], ["b"]),
        helper.make_node("Add", ["b", "p_center"], ["center"]),
        helper.make_node("Mul", ["l_size", "sv"], ["c"]),
        helper.make_node("Exp", ["c"], ["d"]),
        helper.make_node("Mul", ["d", "p_size"], ["size"]),
        helper.make_node("Div", ["size", "two"], ["half"]),
        helper.make_node("Sub", ["center", "half"], ["low"]),
        helper.make_node("Add", ["center", "half"], ["high"]),
        helper.make_node("Concat", ["low", "high"], ["boxes"], axis=2),
    ]
    reported = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3000, columns])
        for name, columns in (("scores", CLASSES), ("boxes", 4), ("raw_scores", CLASSES), ("raw_boxes", 4))
    ]
    frame = helper.make_tensor_value_info("input_0", TensorProto.FLOAT, [1, 3, 300, 300])
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()]
    return save(helper.make_graph(nodes, "ssd", [frame], reported, tensors), path, {})
