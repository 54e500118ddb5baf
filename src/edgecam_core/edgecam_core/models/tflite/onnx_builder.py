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

"""Collects the nodes and constants of an ONNX graph under construction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class OnnxBuilder:
    """Names every node after its first output. Constants with the same name are one constant."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, op_type: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """Append one node; returns its first output."""
        self._nodes.append(helper.make_node(op_type, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]

    def constant(self, name: str, value: np.ndarray | float, dtype: type = np.float32) -> str:
        """Add one constant; returns its name."""
        self._constants[name] = numpy_helper.from_array(np.array(value, dtype, order="C"), name)
        return name

    def model(
        self, name: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]], opset: int, ir_version: int
    ) -> onnx.ModelProto:
        """The model, with float32 inputs and outputs of these shapes."""
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            name,
            [value(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [value(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="edgecam")
