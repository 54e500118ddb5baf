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

"""The class heads of an SSD in ONNX: locates them, extracts their inputs, and replaces them.

The heads are 1x1 convolutions whose outputs go through Transpose, Reshape and Concat to a Sigmoid. Each class is
independent (no softmax), so adding or changing a class does not affect the scores of the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from edgecam_core.errors import ModelError
from edgecam_core.inference import shipped_int8
from edgecam_core.inference.model_file import ModelFile
from onnx import numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel


@dataclass(frozen=True)
class ClassHead:
    """One convolution. ``weight`` is (anchors, classes, features), ``bias`` (anchors, classes)."""

    output: str
    features: str
    weight_name: str
    bias_name: str
    weight: np.ndarray
    bias: np.ndarray

    @property
    def anchors(self) -> int:
        return int(self.weight.shape[0])


class ClassHeads:
    """The heads of one model, in the order of its output rows.

    Raises:
        ModelError: the model has no such heads; the message names the difference.
    """

    def __init__(self, model: ModelFile, labels: Sequence[str]) -> None:
        self.model = model
        self.labels = tuple(labels)
        self._proto = model.proto()
        if model.precision == "fp16":
            ONNXModel(self._proto).topological_sort()  # converters append their casts
        self._producers = {name: node for node in self._proto.graph.node for name in node.output}
        self._weights = {item.name: item for item in self._proto.graph.initializer}
        self.heads = tuple(self._head(name) for name in self._branches())

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        return tuple(head.weight for head in self.heads)

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        return tuple(head.bias for head in self.heads)

    def _error(self, reason: str) -> ModelError:
        return ModelError(
            f"{self.model.path}: {reason}; only SSD models whose class scores are a sigmoid over 1x1 convolutions can "
            "be improved (the default model and models of 'edgecam improve'); retrain other models with 'edgecam train'"
        )

    def _source(self, tensor: str) -> onnx.NodeProto | None:
        """The node that computes a tensor, before the casts of an FP16 model."""
        node = self._producers.get(tensor)
        while node is not None and node.op_type == "Cast":
            node = self._producers.get(node.input[0])
        return node

    def _branches(self) -> list[str]:
        scores = self._source("scores")
        if scores is None or scores.op_type != "Sigmoid":
            raise self._error(f"'scores' comes from {scores.op_type if scores else 'nothing'}")
        joined = self._source(scores.input[0])
        if joined is None or joined.op_type != "Concat":
            raise self._error("its scores are not joined from several heads")
        return list(joined.input)

    def _head(self, branch: str) -> ClassHead:
        node = self._producers[branch]
        while node.op_type in ("Reshape", "Transpose", "Cast"):  # Cast: in an fp16 model
            node = self._producers[node.input[0]]
        if node.op_type != "Conv" or len(node.input) != 3:
            raise self._error(f"a class head is a {node.op_type}")
        weight = numpy_helper.to_array(self._weights[node.input[1]])
        bias = numpy_helper.to_array(self._weights[node.input[2]])
        classes = len(self.labels)
        if weight.shape[2:] != (1, 1) or len(bias) % classes:
            raise self._error(f"a class head has the shape {weight.shape} for {classes} labels")
        anchors = len(bias) // classes
        return ClassHead(
            node.output[0],
            node.input[0],
            node.input[1],
            node.input[2],
            weight.reshape(anchors, classes, -1).astype(np.float32),
            bias.reshape(anchors, classes).astype(np.float32),
        )

    def extractor(self) -> bytes:
        """The model with the inputs of the heads as additional outputs, after ``scores`` and ``boxes``."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        del proto.graph.output[:]
        for name in ("scores", "boxes", *(head.features for head in self.heads)):
            proto.graph.output.append(onnx.ValueInfoProto(name=name))
        return bytes(proto.SerializeToString())

    def rebuild(
        self,
        labels: Sequence[str],
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        facts: Mapping[str, str],
    ) -> bytes:
        """The model with new heads. ``weights`` and ``biases`` are as in :class:`ClassHead`, for ``labels``.

        The quantisation ranges of the old heads and the accuracy measured with them (``edgecam.loss``,
        ``edgecam.report``) do not apply to the new ones and are removed: INT8 leaves the heads in FP32.
        """
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        new: dict[str, np.ndarray] = {}
        for head, weight, bias in zip(self.heads, weights, biases, strict=True):
            new[head.weight_name] = weight.reshape(-1, weight.shape[-1], 1, 1)
            new[head.bias_name] = bias.reshape(-1)
        shapes = self._row_shapes()
        for item in proto.graph.initializer:
            if item.name in new:
                kind = numpy_helper.to_array(item).dtype  # FP16 in an FP16 file
                item.CopyFrom(numpy_helper.from_array(new[item.name].astype(kind), item.name))
            elif item.name in shapes:
                rows = numpy_helper.to_array(item).copy()
                rows[-1] = len(labels)
                item.CopyFrom(numpy_helper.from_array(rows, item.name))
        scores = next(output for output in proto.graph.output if output.name == "scores")
        scores.type.tensor_type.shape.dim[2].dim_value = len(labels)
        del proto.graph.value_info[:]
        metadata = shipped_int8.without(self.model.metadata, {head.output for head in self.heads})
        for key in ("edgecam.loss", "edgecam.report"):
            metadata.pop(key, None)
        metadata |= {"edgecam.labels": json.dumps(list(labels), ensure_ascii=False), **facts}
        onnx.helper.set_model_props(proto, metadata)
        onnx.checker.check_model(proto, full_check=True)
        return bytes(proto.SerializeToString(deterministic=True))

    def _row_shapes(self) -> set[str]:
        """Names of the shape constants of the Reshape nodes of the class rows."""
        names = set()
        for branch in self._branches():
            node = self._producers[branch]
            while node.op_type != "Conv":
                if node.op_type == "Reshape":
                    names.add(node.input[1])
                node = self._producers[node.input[0]]
        return names
