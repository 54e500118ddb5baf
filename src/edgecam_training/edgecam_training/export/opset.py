# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Lowers exported graphs for older runtimes to opset 17 (ONNX Runtime 1.12, TensorRT 8.6) if the operators allow it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 17


def lowered(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with zero padding inside its convolutions, marked opset 17 if every operator is valid there.

    PyTorch writes opset 18 and cannot pad a convolution on one side only; Pad is the operator that changed.
    """
    _fold_padding(proto.graph)
    older = onnx.ModelProto()
    older.CopyFrom(proto)
    for item in older.opset_import:
        if item.domain == "":
            item.version = min(item.version, OPSET)
    try:
        onnx.checker.check_model(older, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return proto
    return older


def _fold_padding(graph: onnx.GraphProto) -> None:
    values = {item.name: item for item in graph.initializer}
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        amounts = None if pad is None else _zeros_around(pad, values)
        if pad is None or amounts is None:
            continue
        own = next((list(item.ints) for item in node.attribute if item.name == "pads"), [0] * 4)
        kept = [item for item in node.attribute if item.name not in ("pads", "auto_pad")]
        del node.attribute[:]
        both = [a + b for a, b in zip(own, amounts, strict=True)]
        node.attribute.extend([*kept, helper.make_attribute("pads", both)])
        node.input[0] = pad.input[0]
    used = {name for node in graph.node for name in node.input} | {item.name for item in graph.output}
    for pad in pads.values():
        if pad.output[0] not in used:
            graph.node.remove(pad)
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)


def _zeros_around(pad: onnx.NodeProto, values: dict[str, onnx.TensorProto]) -> list[int] | None:
    """Top, left, bottom, right of a Pad with zeros in a (B, C, H, W) tensor; None for any other."""
    mode = next((item.s for item in pad.attribute if item.name == "mode"), b"constant")
    known = [numpy_helper.to_array(values[name]) if name in values else None for name in pad.input[1:3]]
    if mode != b"constant" or known[0] is None or len(known[0]) != 8 or len([n for n in pad.input if n]) > 3:
        return None
    if len(known) > 1 and (known[1] is None or np.any(known[1])):
        return None
    amounts: list[int] = known[0].tolist()
    return None if any(amounts[i] for i in (0, 1, 4, 5)) else [*amounts[2:4], *amounts[6:8]]
