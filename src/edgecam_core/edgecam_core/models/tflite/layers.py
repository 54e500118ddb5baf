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

"""Converts the layers of a TFLite backbone: convolutions, additions and activations, with their quantisation ranges.

A quantised tensor cannot hold a value outside its range, and TFLite converters of that time dropped every ReLU6 whose
range was that of its tensor. If a range starts at zero, the saturation *is* the activation and becomes a ``Clip``.
"""

from __future__ import annotations

import math

import numpy as np

from edgecam_core.errors import ModelError
from edgecam_core.models.tflite.onnx_builder import OnnxBuilder
from edgecam_core.models.tflite.reader import ACTIVATIONS, PADDING, Graph, Operator, TfliteTensor

MEAN, STD = 127.0, 128.0  # of the ONNX model's input, in pixel values


class LayerConverter:
    """Emits the ONNX nodes of single operators.

    ``values`` maps TFLite tensor numbers to ONNX tensors (activations are NCHW). ``ranges`` and ``steps`` become the
    metadata ``edgecam.ranges`` and ``edgecam.steps``.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.onnx = OnnxBuilder()
        self.values: dict[int, str] = {graph.inputs[0]: "input_0"}
        self.ranges: dict[str, tuple[float, float]] = {"input_0": (-MEAN / STD, (255 - MEAN) / STD)}
        self.steps: dict[str, float] = {}

    def conv(self, op: Operator) -> None:
        """Emit a convolution, depthwise or not, with its activation."""
        weight, bias = self.weights(op)
        name = self.record_quantisation(op, self.emit_conv(op, weight, bias))
        self.values[op.outputs[0]] = self._activation(op, name)

    def record_quantisation(self, op: Operator, name: str) -> str:
        """Record step and range of a convolution whose weights are those of the original; returns ``name``."""
        kernel = self.graph.tensors[op.inputs[1]]
        if kernel.scale is not None and kernel.scale.size == 1:
            source = self.graph.tensors[op.inputs[0]]
            input_factor = STD * float(source.scale[0]) if source.scale is not None else 1.0
            factor = input_factor if op.inputs[0] == self.graph.inputs[0] else 1.0
            self.steps[name + ".weight"] = factor * float(kernel.scale[0])
        self._record_range(op, name)
        return name

    def _record_range(self, op: Operator, name: str) -> None:
        if (limits := self.graph.tensors[op.outputs[0]].limits()) is not None:
            self.ranges[name] = limits

    def weights(self, op: Operator) -> tuple[np.ndarray, np.ndarray]:
        """Dequantised kernel [out, in / groups, kh, kw] and bias [out]; the first layer includes the input scaling."""
        source, kernel, offset = (self.graph.tensors[i] for i in op.inputs)
        weight, bias = kernel.real(), offset.real()
        # TFLite: [out, kh, kw, in]; depthwise [1, kh, kw, out]
        weight = weight.transpose(3, 0, 1, 2) if op.kind == "DEPTHWISE_CONV_2D" else weight.transpose(0, 3, 1, 2)
        if op.inputs[0] == self.graph.inputs[0]:
            # stored = input * STD + MEAN, real = (stored - zero) * scale. The border is now padded with the pixel
            # value MEAN instead of zero: a difference of one grey level, only at the edge.
            if source.scale is None or source.zero_point is None:
                raise ModelError(f"input '{source.name}' is not quantised; only uint8 inputs are supported")
            scale, zero = float(source.scale[0]), float(source.zero_point[0])
            total = np.array([math.fsum(kernel.flat) for kernel in weight])  # the same bits on every machine
            bias = bias + total * ((MEAN - zero) * scale)
            weight = weight * (STD * scale)
        return weight, bias

    def emit_conv(self, op: Operator, weight: np.ndarray, bias: np.ndarray) -> str:
        """Emit a Conv node with these weights; returns its output."""
        _, height, width, channels = self.graph.tensors[op.inputs[0]].shape
        strides = [op.options["stride_h"], op.options["stride_w"]]
        dilations = [op.options["dilation_h"], op.options["dilation_w"]]
        kernel = list(weight.shape[2:])
        pads = [
            _padding(PADDING[op.options["padding"]], *axis)
            for axis in zip((height, width), kernel, strides, dilations, strict=True)
        ]
        name = _short(self.graph.tensors[op.outputs[0]])
        return self.onnx.node(
            "Conv",
            [
                self.values[op.inputs[0]],
                self.onnx.constant(name + ".weight", weight),
                self.onnx.constant(name + ".bias", bias),
            ],
            name,
            kernel_shape=kernel,
            strides=strides,
            dilations=dilations,
            pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
            group=channels if op.kind == "DEPTHWISE_CONV_2D" else 1,
        )

    def add(self, op: Operator) -> None:
        """Emit an addition with its activation."""
        name = _short(self.graph.tensors[op.outputs[0]])
        self.onnx.node("Add", [self.values[i] for i in op.inputs], name)
        self._record_range(op, name)
        self.values[op.outputs[0]] = self._activation(op, name)

    def _activation(self, op: Operator, name: str) -> str:
        """Emit the fused activation, or the one that saturation implies."""
        fused = ACTIVATIONS.get(op.options["activation"])
        limits = self.graph.tensors[op.outputs[0]].limits()
        if fused is None:
            raise ModelError(f"'{name}': activation number {op.options['activation']} is not supported")
        if fused == "RELU6" or (fused == "NONE" and limits is not None and limits[0] == 0.0):
            top = 6.0 if limits is None or fused == "RELU6" else limits[1]
            bounds = [self.onnx.constant("zero", 0.0), self.onnx.constant(f"max_{top:.6g}", top)]
            name = self.onnx.node("Clip", [name, *bounds], name + "/clip")
        elif fused == "RELU":
            name = self.onnx.node("Relu", [name], name + "/relu")
        self._record_range(op, name)
        return name


def _padding(mode: str, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding before and after, along one axis; like TensorFlow, SAME puts the odd one after."""
    if mode == "VALID":
        return 0, 0
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _short(tensor: TfliteTensor) -> str:
    """The layer's name: ``FeatureExtractor/MobilenetV2/expanded_conv_1/expand/Relu6`` is ``expanded_conv_1/expand``."""
    name = tensor.name.removeprefix("FeatureExtractor/").removeprefix("MobilenetV2/")
    for suffix in ("/Relu6", "/add_fold", "/BiasAdd"):
        name = name.removesuffix(suffix)
    return name
