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

"""Runs a float ONNX graph in PyTorch, so that its own weights can be trained and written back into it.

Knows the operators of SSD-MobileNet models and of edgecam's own exports. Everything is computed in float32, also in an
FP16 file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from edgecam_core.errors import ModelError
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


class OnnxGraph(nn.Module):
    """Call it with (B, C, H, W) images: returns the tensors ``outputs``. A graph exported for one image runs any batch.

    The parameters are the weights and biases of the convolutions, named as in the file with ``:`` instead of ``.``;
    other constants are buffers.

    Raises (construction):
        ModelError: an operator that is not known here, or a constant that the graph computes; the message names it.
    """

    def __init__(self, proto: onnx.ModelProto, outputs: Sequence[str]) -> None:
        super().__init__()
        graph = proto.graph
        self.outputs = tuple(outputs)
        self._constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        self._constants |= {
            node.output[0]: numpy_helper.to_array(node.attribute[0].t)
            for node in graph.node
            if node.op_type == "Constant"
        }
        self._input = next(item.name for item in graph.input if item.name not in self._constants)
        nodes = _needed([node for node in graph.node if node.op_type != "Constant"], outputs)
        self._steps = [_Step.of(node, self._constants) for node in nodes]
        trained = {name for node in nodes if node.op_type == "Conv" for name in node.input[1:]}
        # In the order of the graph: a set's order differs between processes, and checkpoints depend on it.
        for name in dict.fromkeys(name for step in self._steps for name in step.inputs if name in self._constants):
            value = torch.tensor(self._constants[name])
            value = value.float() if value.is_floating_point() else value
            if name in trained:
                self.register_parameter(attribute(name), nn.Parameter(value))
            else:
                self.register_buffer(attribute(name), value, persistent=False)
        uses = {name: number for number, step in enumerate(self._steps) for name in step.inputs}
        self._last = [
            [name for name in step.inputs if uses[name] == number and name not in self.outputs]
            for number, step in enumerate(self._steps)
        ]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        values = {self._input: images}
        for step, finished in zip(self._steps, self._last, strict=True):
            found = step.run(
                *(values[name] if name in values else getattr(self, attribute(name)) for name in step.inputs)
            )
            values.update(zip(step.outputs, found if isinstance(found, tuple) else (found,), strict=False))
            for name in finished:
                values.pop(name, None)
        return tuple(values[name] for name in self.outputs)

    def write_to(self, proto: onnx.ModelProto) -> None:
        """Replace the weights in ``proto``, which has the same graph, by the present ones, in the file's types."""
        state = dict(self.named_parameters())
        for item in proto.graph.initializer:
            if (value := state.get(attribute(item.name))) is not None:
                kind = self._constants[item.name].dtype
                item.CopyFrom(numpy_helper.from_array(value.detach().cpu().numpy().astype(kind), item.name))


def attribute(name: str) -> str:
    """The name of a parameter or buffer for a tensor of the file; PyTorch allows no dots."""
    return "tensor:" + name.replace(".", ":")


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in the order of the graph, which is topological."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


@dataclass(frozen=True)
class _Step:
    """One node. ``run`` takes the tensors ``inputs`` and returns those of ``outputs``."""

    run: Callable[..., Tensor | tuple[Tensor, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> _Step:
        build = _OPERATORS.get(node.op_type)
        if build is None or node.domain not in ("", "ai.onnx"):
            known = ", ".join(sorted(_OPERATORS))
            raise ModelError(
                f"the operator {node.op_type} (of '{node.output[0]}') cannot be trained; known are {known}. Train the "
                "class heads only (--train heads)"
            )
        reader = _Node(node, constants)
        run = build(reader)
        taken = len(node.input) if reader.tensors is None else reader.tensors
        return cls(run, tuple(name for name in node.input[:taken] if name), tuple(node.output))


class _Node:
    """Attributes and constant inputs of a node. ``tensors`` is the number of inputs that its function takes; None: all.

    Constant inputs are read when the graph is built: reading them from a GPU would wait for it.
    """

    def __init__(self, node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> None:
        self._node = node
        self._constants = constants
        self._attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        self.tensors: int | None = None

    def attribute(self, name: str, default: Any = None) -> Any:
        return self._attributes.get(name, default)

    def constant(self, place: int, name: str, default: Any = None) -> Any:
        """The values of an input, or of the attribute that it was in earlier opsets; from here on not a tensor."""
        self.tensors = 1
        if place >= len(self._node.input) or not self._node.input[place]:
            return self.attribute(name, default)
        tensor = self._node.input[place]
        if tensor not in self._constants:
            raise self.refused(f"computes '{name}' ('{tensor}')")
        return self._constants[tensor].tolist()

    def refused(self, reason: str) -> ModelError:
        node = self._node
        return ModelError(
            f"the operator {node.op_type} (of '{node.output[0]}') {reason} and cannot be trained. Train the class "
            "heads only (--train heads)"
        )


def _convolution(node: _Node) -> Callable[..., Tensor]:
    if node.attribute("auto_pad", b"NOTSET") != b"NOTSET":
        raise node.refused("has automatic padding")
    pads, stride, dilation = (
        list(node.attribute(name, default))
        for name, default in (("pads", [0] * 4), ("strides", [1] * 2), ("dilations", [1] * 2))
    )
    groups = node.attribute("group", 1)
    even = pads[:2] == pads[2:]

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not even:
            x = functional.pad(x, (pads[1], pads[3], pads[0], pads[2]))
        return functional.conv2d(x, weight, bias, stride, pads[:2] if even else 0, dilation, groups)

    return run


def _clip(node: _Node) -> Callable[..., Tensor]:
    low, high = node.constant(1, "min"), node.constant(2, "max")
    return lambda x: x.clamp(low, high)


def _cast(node: _Node) -> Callable[..., Tensor]:
    if node.attribute("to") not in _FLOATS:
        raise node.refused(f"casts to {onnx.TensorProto.DataType.Name(node.attribute('to'))}")
    return lambda x: x.float()


def _reshape(node: _Node) -> Callable[..., Tensor]:
    shape = node.constant(1, "shape")
    keeps = node.attribute("allowzero", 0) == 0

    def run(x: Tensor) -> Tensor:
        sizes = [x.shape[place] if size == 0 and keeps else size for place, size in enumerate(shape)]
        sizes[0] = x.shape[0] if sizes[0] == 1 else sizes[0]  # a graph for one image
        return x.reshape(sizes)

    return run


def _split(node: _Node) -> Callable[..., tuple[Tensor, ...]]:
    sizes, axis = node.constant(1, "split"), node.attribute("axis", 0)
    if sizes is None:
        raise node.refused("has no sizes")
    return lambda x: x.split(sizes, axis)


def _slice(node: _Node) -> Callable[..., Tensor]:
    starts, ends = node.constant(1, "starts"), node.constant(2, "ends")
    axes = node.constant(3, "axes", list(range(len(starts))))
    steps = node.constant(4, "steps", [1] * len(starts))
    if min(steps) < 1:
        raise node.refused("reverses an axis")

    def run(x: Tensor) -> Tensor:
        index = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            index[axis] = slice(start, end, step)
        return x[tuple(index)]

    return run


def _mean(node: _Node) -> Callable[..., Tensor]:
    axes, keeps = node.constant(1, "axes"), bool(node.attribute("keepdims", 1))
    if axes is None:
        raise node.refused("has no axes")
    return lambda x: x.mean(dim=axes, keepdim=keeps)


def _hard_sigmoid(node: _Node) -> Callable[..., Tensor]:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return lambda x: (alpha * x + beta).clamp(0, 1)


def _concat(node: _Node) -> Callable[..., Tensor]:
    axis = node.attribute("axis")
    return lambda *parts: torch.cat(parts, dim=axis)


def _softmax(node: _Node) -> Callable[..., Tensor]:
    axis = node.attribute("axis", -1)
    return lambda x: x.softmax(dim=axis)


def _transpose(node: _Node) -> Callable[..., Tensor]:
    order = node.attribute("perm")
    if order is None:
        raise node.refused("has no order")
    return lambda x: x.permute(*order)


def _plain(function: Callable[..., Tensor]) -> Callable[[_Node], Callable[..., Tensor]]:
    return lambda _node: function


_OPERATORS: dict[str, Callable[[_Node], Callable[..., Any]]] = {
    "Add": _plain(torch.add),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolution,
    "Div": _plain(torch.div),
    "Exp": _plain(torch.exp),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(functional.hardswish),
    "Identity": _plain(lambda x: x),
    "Mul": _plain(torch.mul),
    "ReduceMean": _mean,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sub": _plain(torch.sub),
    "Transpose": _transpose,
}
