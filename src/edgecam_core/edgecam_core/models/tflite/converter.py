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

"""Turns a quantised TensorFlow Lite SSD detector into a plain float ONNX model (opset 13).

The result follows the conventions of jetson-inference and pytorch-ssd:

* input ``input_0``, float32 [1, 3, H, W], RGB, (pixel - 127) / 128;
* output ``scores``, float32 [1, N, C], column 0 = BACKGROUND, each score from its own sigmoid;
* output ``boxes``, float32 [1, N, 4], x1 y1 x2 y2 as fractions of the image (not clipped to 0..1);
* ``metadata_props`` with keys ``edgecam.*``, see :data:`METADATA`.

What is done to the graph: weights are dequantised; the input scaling, the channel order and scales of the box
encoding are folded into the weights; the box decoding (with the anchors found in the file) is part of the
graph; non-maximum suppression is not. A quantised tensor cannot hold a value outside its range, and the
converters of that time dropped every ReLU6 whose range was the tensor's range: where a range starts at zero the
saturation *is* the activation and becomes a ``Clip``. Same input, same output bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from edgecam_core.errors import ModelError
from edgecam_core.models.tflite.onnx_builder import OnnxBuilder
from edgecam_core.models.tflite.reader import ACTIVATIONS, PADDING, Graph, Operator, Tensor, read

OPSET = 13
IR_VERSION = 7  # what ONNX Runtime 1.6 and TensorRT 8 (JetPack 4) still read
SCALES = ("x_scale", "y_scale", "w_scale", "h_scale")  # options of the last operator
MEAN, STD = 127.0, 128.0  # of the converted model's input, in pixel values

METADATA = {
    "edgecam.family": "model family that decodes the outputs: ssd",
    "edgecam.mean": "JSON list, per channel: input = (pixel - mean) / std",
    "edgecam.std": "JSON list, per channel",
    "edgecam.color": "channel order of the input: rgb",
    "edgecam.labels": "JSON list, one per column of scores, BACKGROUND first",
    "edgecam.unused": "JSON list of the columns that are never reported (their score is 0)",
    "edgecam.licence": "SPDX identifier of the weights' licence",
    "edgecam.attribution": "whom to name",
    "edgecam.source": "where the weights come from",
    "edgecam.source_sha256": "SHA-256 of the file that was converted",
    "edgecam.ranges": "JSON object, tensor to [lowest, highest]: the ranges the model was trained to be quantised with",
    "edgecam.steps": "JSON object, weight to the step between the values it was stored with",
    "edgecam.loss": "JSON object, precision to the mAP points it costs, as measured",
    "edgecam.max_loss": "mAP points that precision auto may cost",
}


def convert(
    tflite: bytes, *, labels: Sequence[str], unused: Collection[int] = (), metadata: Mapping[str, str] | None = None
) -> bytes:
    """Convert one detector.

    Args:
        tflite: the ``.tflite`` file, ending in a ``TFLite_Detection_PostProcess`` operator.
        labels: one name per score column, the background first.
        unused: columns that have no class; their score is made 0, so that no decoder can report them.
        metadata: more ``metadata_props``, on top of those known here.

    Returns:
        The serialised ONNX model, about 4 bytes per weight.

    Raises:
        ModelError: the file is damaged, has an operator this converter does not support, or does not fit ``labels``.
    """
    graph = read(tflite)
    converter = _Converter(graph, len(labels), frozenset(unused))
    model = converter.model()
    props = {
        "edgecam.family": "ssd",
        "edgecam.mean": json.dumps([MEAN] * 3),
        "edgecam.std": json.dumps([STD] * 3),
        "edgecam.color": "rgb",
        "edgecam.labels": json.dumps(list(labels), ensure_ascii=False),
        "edgecam.unused": json.dumps(sorted(unused)),
        "edgecam.ranges": json.dumps(converter.ranges),
        "edgecam.steps": json.dumps(converter.steps),
        **(metadata or {}),
    }
    helper.set_model_props(model, props)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


class _Converter:
    """Walks the operators once; activations of the backbone are NCHW under their TFLite tensor number."""

    def __init__(self, graph: Graph, columns: int, unused: frozenset[int]) -> None:
        self.graph = graph
        self.columns = columns
        self.unused = unused
        self.onnx = OnnxBuilder()
        self.values: dict[int, str] = {}
        self.ranges: dict[str, tuple[float, float]] = {"input_0": (-MEAN / STD, (255 - MEAN) / STD)}
        self.steps: dict[str, float] = {}

    def model(self) -> onnx.ModelProto:
        post = self.graph.operators[-1]
        if post.kind != "TFLite_Detection_PostProcess" or not post.options.keys() >= set(SCALES):
            raise ModelError(f"the last operator is {post.kind}, expected TFLite_Detection_PostProcess with {SCALES}")
        boxes, scores, anchors = post.inputs[:3]
        box_heads, class_heads = self._heads(boxes), self._heads(scores)
        _, height, width, channels = self.graph.tensors[self.graph.inputs[0]].shape
        if channels != 3:
            raise ModelError(f"the input has {channels} channels, expected 3 (RGB)")

        self.values[self.graph.inputs[0]] = "input_0"
        self._backbone(skip={*box_heads, *class_heads}, last=post)
        count = self._scores(class_heads)
        if self.graph.tensors[anchors].shape != (count, 4):
            raise ModelError(f"{count} score rows, but anchors of shape {self.graph.tensors[anchors].shape}")
        self._boxes(box_heads, self.graph.tensors[anchors].real(), post.options)
        inputs, outputs = (
            {"input_0": [1, 3, height, width]},
            {"scores": [1, count, self.columns], "boxes": [1, count, 4]},
        )
        return self.onnx.model("ssd", inputs, outputs, OPSET, IR_VERSION)

    # -- backbone ------------------------------------------------------------------------------------------

    def _backbone(self, skip: Collection[int], last: Operator) -> None:
        """Emit all that is before the heads."""
        emit = {"CONV_2D": self._conv, "DEPTHWISE_CONV_2D": self._conv, "ADD": self._add}
        for op in self.graph.operators:
            if op.kind in emit:
                if op.outputs[0] not in skip:
                    emit[op.kind](op)
            elif op.kind not in ("RESHAPE", "CONCATENATION", "LOGISTIC") and op is not last:
                raise ModelError(f"operator {op.kind} is not supported by this converter")

    def _conv(self, op: Operator) -> None:
        weight, bias = self._weights(op)
        self.values[op.outputs[0]] = self._activation(op, self._quantisable(op, self._emit_conv(op, weight, bias)))

    def _quantisable(self, op: Operator, name: str) -> str:
        """Note how the original quantises the weights of a convolution that were taken over as they are."""
        kernel = self.graph.tensors[op.inputs[1]]
        if kernel.scale is not None and kernel.scale.size == 1:
            source = self.graph.tensors[op.inputs[0]]
            of_input = STD * float(source.scale[0]) if source.scale is not None else 1.0
            factor = of_input if op.inputs[0] == self.graph.inputs[0] else 1.0
            self.steps[name + ".weight"] = factor * float(kernel.scale[0])
        self._bounded(op, name)
        return name

    def _bounded(self, op: Operator, name: str) -> None:
        if (limits := self.graph.tensors[op.outputs[0]].limits()) is not None:
            self.ranges[name] = limits

    def _weights(self, op: Operator) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [out, in / groups, kh, kw] and bias [out], real numbers; the first takes over the input's scaling."""
        source, kernel, offset = (self.graph.tensors[i] for i in op.inputs)
        weight, bias = kernel.real(), offset.real()
        # TFLite: [out, kh, kw, in]; depthwise [1, kh, kw, out]
        weight = weight.transpose(3, 0, 1, 2) if op.kind == "DEPTHWISE_CONV_2D" else weight.transpose(0, 3, 1, 2)
        if op.inputs[0] == self.graph.inputs[0]:
            # stored = input * STD + MEAN, real = (stored - zero) * scale. The border is now padded with the pixel
            # value MEAN instead of zero: one grey level, at the edge only.
            if source.scale is None or source.zero_point is None:
                raise ModelError(f"input '{source.name}' is not quantised; only uint8 inputs are supported")
            scale, zero = float(source.scale[0]), float(source.zero_point[0])
            total = np.array([math.fsum(kernel.flat) for kernel in weight])  # the same bits on every machine
            bias = bias + total * ((MEAN - zero) * scale)
            weight = weight * (STD * scale)
        return weight, bias

    def _emit_conv(self, op: Operator, weight: np.ndarray, bias: np.ndarray) -> str:
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

    def _add(self, op: Operator) -> None:
        name = _short(self.graph.tensors[op.outputs[0]])
        self.onnx.node("Add", [self.values[i] for i in op.inputs], name)
        self._bounded(op, name)
        self.values[op.outputs[0]] = self._activation(op, name)

    def _activation(self, op: Operator, name: str) -> str:
        """The fused activation, or the one that saturation implies."""
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
        self._bounded(op, name)
        return name

    # -- heads ---------------------------------------------------------------------------------------------

    def _heads(self, tensor: int) -> list[int]:
        """Output tensors of the convolutions that are reshaped and concatenated into this tensor, in order."""
        op = self.graph.producer(tensor)
        if op is None or op.kind not in ("RESHAPE", "CONCATENATION", "LOGISTIC", "CONV_2D"):
            raise ModelError(f"a detection head ends in {op.kind if op else 'no operator'}, expected CONV_2D")
        if op.kind == "CONV_2D":
            return [tensor]
        if op.kind == "CONCATENATION":
            if op.options["axis"] != 1:
                raise ModelError(f"detection heads are joined along axis {op.options['axis']}, expected 1")
            return [head for part in op.inputs for head in self._heads(part)]
        return self._heads(op.inputs[0])

    def _scores(self, heads: list[int]) -> int:
        """Emit ``scores``; returns the number of rows."""
        rows, count = [], 0
        for index, tensor in enumerate(heads):
            op = self._producer(tensor)
            weight, bias = self._weights(op)
            if len(bias) % self.columns:
                raise ModelError(f"a class head has {len(bias)} channels, no multiple of {self.columns} labels")
            silent = np.isin(np.arange(len(bias)) % self.columns, list(self.unused))
            weight[silent], bias[silent] = 0.0, -100.0  # sigmoid(-100) is 4e-44
            head = self._quantisable(op, self._emit_conv(op, weight, bias))
            rows.append(self._rows(head, f"class_rows_{index}", self.columns))
            count += math.prod(self.graph.tensors[tensor].shape) // self.columns
        self.onnx.node("Concat", rows, "logits", axis=1)
        self.onnx.node("Sigmoid", ["logits"], "scores")
        return count

    def _boxes(self, heads: list[int], anchors: np.ndarray, scales: Mapping[str, float]) -> None:
        """Emit ``boxes``. The file's order is y x h w, for the encoding and for the anchors alike."""
        rows = []
        order = np.array([1, 0, 3, 2])
        divisor = np.array([scales[key] for key in SCALES])
        for index, tensor in enumerate(heads):
            op = self._producer(tensor)
            weight, bias = self._weights(op)
            if len(bias) % 4:
                raise ModelError(f"a box head has {len(bias)} channels, no multiple of 4")
            weight = weight.reshape(-1, 4, *weight.shape[1:])[:, order] / divisor.reshape(1, 4, 1, 1, 1)
            bias = bias.reshape(-1, 4)[:, order] / divisor
            conv = self._emit_conv(op, weight.reshape(-1, *weight.shape[2:]), bias.reshape(-1))
            rows.append(self._rows(conv, f"box_rows_{index}", 4))
        self.onnx.node("Concat", rows, "encoding", axis=1)
        centre, size = anchors[None, :, [1, 0]], anchors[None, :, [3, 2]]
        halves = self.onnx.constant("halves", np.array([2, 2]), np.int64)
        self.onnx.node("Split", ["encoding", halves], "shift", "growth", axis=2)
        self.onnx.node("Mul", ["shift", self.onnx.constant("anchor_size", size)], "offset")
        self.onnx.node("Add", ["offset", self.onnx.constant("anchor_centre", centre)], "centre")
        self.onnx.node("Exp", ["growth"], "factor")
        self.onnx.node("Mul", ["factor", self.onnx.constant("anchor_half", size / 2)], "half")
        self.onnx.node("Sub", ["centre", "half"], "corner_1")
        self.onnx.node("Add", ["centre", "half"], "corner_2")
        self.onnx.node("Concat", ["corner_1", "corner_2"], "boxes", axis=2)

    def _rows(self, conv: str, name: str, columns: int) -> str:
        """[1, A x columns, H, W] to [1, H x W x A, columns]."""
        shape = self.onnx.constant(f"rows_of_{columns}", np.array([1, -1, columns]), np.int64)
        pixels = self.onnx.node("Transpose", [conv], name + "_nhwc", perm=[0, 2, 3, 1])
        return self.onnx.node("Reshape", [pixels, shape], name)

    def _producer(self, tensor: int) -> Operator:
        op = self.graph.producer(tensor)
        assert op is not None  # _heads() found it
        return op


def _padding(mode: str, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after along one axis; SAME puts the odd one after, as TensorFlow does."""
    if mode == "VALID":
        return 0, 0
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _short(tensor: Tensor) -> str:
    """The layer's name: ``FeatureExtractor/MobilenetV2/expanded_conv_1/expand/Relu6`` -> ``expanded_conv_1/expand``."""
    name = tensor.name.removeprefix("FeatureExtractor/").removeprefix("MobilenetV2/")
    for suffix in ("/Relu6", "/add_fold", "/BiasAdd"):
        name = name.removesuffix(suffix)
    return name
