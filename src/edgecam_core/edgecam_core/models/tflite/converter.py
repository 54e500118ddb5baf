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

Weights are dequantised. The input scaling and the order and scales of the box encoding are folded into the weights. The
graph includes box decoding (with the anchors in the file), but no non-maximum suppression. The same input gives the
same output, byte for byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from edgecam_core.errors import ModelError
from edgecam_core.models.tflite.layers import MEAN, STD, LayerConverter
from edgecam_core.models.tflite.reader import Graph, Operator, read

OPSET = 13
IR_VERSION = 7  # the latest that ONNX Runtime 1.6 and TensorRT 8 (JetPack 4) can read
SCALES = ("x_scale", "y_scale", "w_scale", "h_scale")  # options of the last operator

METADATA = {
    "edgecam.family": "model family that decodes the outputs: ssd",
    "edgecam.mean": "JSON list, per channel: input = (pixel - mean) / std",
    "edgecam.std": "JSON list, per channel",
    "edgecam.color": "channel order of the input: rgb",
    "edgecam.labels": "JSON list, one per column of scores, BACKGROUND first",
    "edgecam.unused": "JSON list of columns that are never reported (their score is 0)",
    "edgecam.licence": "SPDX identifier of the weights' licence",
    "edgecam.attribution": "authors to be credited",
    "edgecam.source": "origin of the weights",
    "edgecam.source_sha256": "SHA-256 of the file that was converted",
    "edgecam.ranges": "JSON object, tensor to [lowest, highest]: quantisation ranges used in training",
    "edgecam.steps": "JSON object, weight tensor to its quantisation step",
    "edgecam.loss": "JSON object, precision to the measured loss in mAP points",
    "edgecam.max_loss": "largest loss in mAP points that precision auto accepts",
}


def convert(
    tflite: bytes, *, labels: Sequence[str], unused: Collection[int] = (), metadata: Mapping[str, str] | None = None
) -> bytes:
    """Convert one detector.

    Args:
        tflite: the ``.tflite`` file; its last operator must be ``TFLite_Detection_PostProcess``.
        labels: one name per score column, the background first.
        unused: columns without a class; their score becomes 0, so that no decoder can report them.
        metadata: additional ``metadata_props``.

    Returns:
        The serialised ONNX model, about 4 bytes per weight.

    Raises:
        ModelError: the file is damaged, has an unsupported operator, or does not match ``labels``.
    """
    graph = read(tflite)
    layers = LayerConverter(graph)
    model = _Converter(graph, layers, len(labels), frozenset(unused)).model()
    props = {
        "edgecam.family": "ssd",
        "edgecam.mean": json.dumps([MEAN] * 3),
        "edgecam.std": json.dumps([STD] * 3),
        "edgecam.color": "rgb",
        "edgecam.labels": json.dumps(list(labels), ensure_ascii=False),
        "edgecam.unused": json.dumps(sorted(unused)),
        "edgecam.ranges": json.dumps(layers.ranges),
        "edgecam.steps": json.dumps(layers.steps),
        **(metadata or {}),
    }
    helper.set_model_props(model, props)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


class _Converter:
    """Converts backbone, class heads and box heads of one graph."""

    def __init__(self, graph: Graph, layers: LayerConverter, columns: int, unused: frozenset[int]) -> None:
        self._graph = graph
        self._layers = layers
        self._onnx = layers.onnx
        self._columns = columns
        self._unused = unused

    def model(self) -> onnx.ModelProto:
        """The ONNX model without metadata."""
        post = self._graph.operators[-1]
        if post.kind != "TFLite_Detection_PostProcess" or not post.options.keys() >= set(SCALES):
            raise ModelError(f"the last operator is {post.kind}, expected TFLite_Detection_PostProcess with {SCALES}")
        boxes, scores, anchors = post.inputs[:3]
        box_heads, class_heads = self._heads(boxes), self._heads(scores)
        _, height, width, channels = self._graph.tensors[self._graph.inputs[0]].shape
        if channels != 3:
            raise ModelError(f"the input has {channels} channels, expected 3 (RGB)")
        self._backbone(skip={*box_heads, *class_heads}, last=post)
        count = self._scores(class_heads)
        if self._graph.tensors[anchors].shape != (count, 4):
            raise ModelError(f"{count} score rows, but anchors of shape {self._graph.tensors[anchors].shape}")
        self._boxes(box_heads, self._graph.tensors[anchors].real(), post.options)
        outputs = {"scores": [1, count, self._columns], "boxes": [1, count, 4]}
        return self._onnx.model("ssd", {"input_0": [1, 3, height, width]}, outputs, OPSET, IR_VERSION)

    def _backbone(self, skip: Collection[int], last: Operator) -> None:
        """Emit all operators before the heads."""
        emit = {"CONV_2D": self._layers.conv, "DEPTHWISE_CONV_2D": self._layers.conv, "ADD": self._layers.add}
        for op in self._graph.operators:
            if op.kind in emit:
                if op.outputs[0] not in skip:
                    emit[op.kind](op)
            elif op.kind not in ("RESHAPE", "CONCATENATION", "LOGISTIC") and op is not last:
                raise ModelError(f"operator {op.kind} is not supported by this converter")

    def _heads(self, tensor: int) -> list[int]:
        """Output tensors of the convolutions that are reshaped and concatenated into this tensor, in order."""
        op = self._graph.producer(tensor)
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
            weight, bias = self._layers.weights(op)
            if len(bias) % self._columns:
                raise ModelError(f"a class head has {len(bias)} channels, no multiple of {self._columns} labels")
            unused = np.isin(np.arange(len(bias)) % self._columns, list(self._unused))
            weight[unused], bias[unused] = 0.0, -100.0  # sigmoid(-100) is 4e-44
            head = self._layers.record_quantisation(op, self._layers.emit_conv(op, weight, bias))
            rows.append(self._rows(head, f"class_rows_{index}", self._columns))
            count += math.prod(self._graph.tensors[tensor].shape) // self._columns
        self._onnx.node("Concat", rows, "logits", axis=1)
        self._onnx.node("Sigmoid", ["logits"], "scores")
        return count

    def _boxes(self, heads: list[int], anchors: np.ndarray, scales: Mapping[str, float]) -> None:
        """Emit ``boxes``. In the file, both the encoding and the anchors are in the order y x h w."""
        rows = []
        order = np.array([1, 0, 3, 2])
        divisor = np.array([scales[key] for key in SCALES])
        for index, tensor in enumerate(heads):
            op = self._producer(tensor)
            weight, bias = self._layers.weights(op)
            if len(bias) % 4:
                raise ModelError(f"a box head has {len(bias)} channels, no multiple of 4")
            weight = weight.reshape(-1, 4, *weight.shape[1:])[:, order] / divisor.reshape(1, 4, 1, 1, 1)
            bias = bias.reshape(-1, 4)[:, order] / divisor
            conv = self._layers.emit_conv(op, weight.reshape(-1, *weight.shape[2:]), bias.reshape(-1))
            rows.append(self._rows(conv, f"box_rows_{index}", 4))
        self._onnx.node("Concat", rows, "encoding", axis=1)
        centre, size = anchors[None, :, [1, 0]], anchors[None, :, [3, 2]]
        halves = self._onnx.constant("halves", np.array([2, 2]), np.int64)
        self._onnx.node("Split", ["encoding", halves], "shift", "growth", axis=2)
        self._onnx.node("Mul", ["shift", self._onnx.constant("anchor_size", size)], "offset")
        self._onnx.node("Add", ["offset", self._onnx.constant("anchor_centre", centre)], "centre")
        self._onnx.node("Exp", ["growth"], "factor")
        self._onnx.node("Mul", ["factor", self._onnx.constant("anchor_half", size / 2)], "half")
        self._onnx.node("Sub", ["centre", "half"], "corner_1")
        self._onnx.node("Add", ["centre", "half"], "corner_2")
        self._onnx.node("Concat", ["corner_1", "corner_2"], "boxes", axis=2)

    def _rows(self, conv: str, name: str, columns: int) -> str:
        """Reshape [1, A x columns, H, W] to [1, H x W x A, columns]."""
        shape = self._onnx.constant(f"rows_of_{columns}", np.array([1, -1, columns]), np.int64)
        pixels = self._onnx.node("Transpose", [conv], name + "_nhwc", perm=[0, 2, 3, 1])
        return self._onnx.node("Reshape", [pixels, shape], name)

    def _producer(self, tensor: int) -> Operator:
        op = self._graph.producer(tensor)
        assert op is not None  # _heads() found it
        return op
