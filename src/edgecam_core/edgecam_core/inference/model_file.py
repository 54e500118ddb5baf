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

"""An ONNX file's tensors, metadata and hash, read without loading it for inference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_core import cache
from edgecam_core.errors import MissingDependency, ModelError, first_line
from edgecam_core.inference.external_data import external_files

PREFIX = "edgecam."


@dataclass(frozen=True)
class ModelFile:
    """A model on disk, read but not loaded for inference.

    ``inputs`` and ``outputs`` map names to shapes, with None for a dynamic dimension. ``types`` maps the same names to
    element types; a missing name means float32. ``precision`` is that of the weights: fp32, fp16, or int8 if the graph
    has quantisation nodes. ``metadata`` is the file's metadata_props; :meth:`fact` reads those under ``edgecam.``.
    ``data_files`` are the other files that hold weights.
    """

    path: Path
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    metadata: Mapping[str, str]
    precision: str = "fp32"
    data_files: tuple[Path, ...] = ()
    types: Mapping[str, np.dtype] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> ModelFile:
        """Read an ONNX file; tens of milliseconds.

        Raises:
            ModelError: no such file, not ONNX, truncated, no inputs or outputs, or weights in a file that is missing,
                too short or outside the model's folder.
            MissingDependency: the onnx package is not installed.
        """
        try:
            import onnx
        except ImportError as error:
            raise MissingDependency("the package 'onnx'", "pip install onnx") from error
        path = Path(path).expanduser()
        if not path.is_file():
            raise ModelError(f"parameter 'model' is '{path}': there is no such file; set the path of an ONNX file")
        try:
            proto = onnx.load(str(path), load_external_data=False)
        except Exception as error:  # protobuf's DecodeError has moved between versions
            raise ModelError(
                f"parameter 'model' is '{path}': this is not an ONNX file, or it is truncated ({first_line(error)})"
            ) from error
        weights = {item.name for item in proto.graph.initializer}
        inputs = {item.name: _shape(item) for item in proto.graph.input if item.name not in weights}
        outputs = {item.name: _shape(item) for item in proto.graph.output}
        if not inputs or not outputs:
            raise ModelError(f"parameter 'model' is '{path}': this is not an ONNX file, or its graph is empty")
        metadata = {item.key: item.value for item in proto.metadata_props}
        types = {item.name: _type(item) for item in (*proto.graph.input, *proto.graph.output)}
        return cls(path, inputs, outputs, metadata, _precision(proto.graph), external_files(proto, path), types)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 in hex of the whole model including ``data_files``: the key of all files derived from it."""
        own = cache.sha256(self.path)
        if not self.data_files:
            return own
        parts = [own, *(f"{data.relative_to(self.path.parent)} {cache.sha256(data)}" for data in self.data_files)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def proto(self) -> Any:
        """The ModelProto with all weights, including those in other files.

        Raises:
            ModelError: the weights cannot be read.
        """
        import onnx

        try:
            return onnx.load(str(self.path))
        except Exception as error:  # from onnx, protobuf or the file system
            raise ModelError(f"{self.path} cannot be loaded with its weights: {first_line(error)}") from error

    def type_of(self, name: str) -> np.dtype:
        """Element type of an input or output."""
        return self.types.get(name, np.dtype(np.float32))

    def graph(self) -> Any:
        """The GraphProto without external data, for facts that are in neither shapes nor metadata."""
        import onnx

        return onnx.load(str(self.path), load_external_data=False).graph

    def packed(self, proto: Any) -> bytes:
        """Serialise a ModelProto derived from this model into one file.

        Raises:
            ModelError: it exceeds the 2 GB that one ONNX file can hold.
        """
        try:
            return bytes(proto.SerializeToString())
        except Exception as error:  # protobuf's EncodeError has moved between versions
            raise ModelError(
                f"{self.path} is too large to be rewritten: {first_line(error)}; use precision auto and max_batch 1"
            ) from error

    def fact(self, key: str, default: Any = None) -> Any:
        """The metadata ``edgecam.<key>``: parsed if it is JSON, else as text; ``default`` if it is missing."""
        text = self.metadata.get(PREFIX + key)
        if text is None:
            return default
        try:
            return json.loads(text)
        except ValueError:
            return text

    def describe(self) -> str:
        """Inputs and outputs in one line, for messages."""
        tensors = [f"{name} {_shape_text(shape)}" for name, shape in (*self.inputs.items(), *self.outputs.items())]
        count = len(self.inputs)
        return f"inputs {', '.join(tensors[:count])}; outputs {', '.join(tensors[count:])}"


def _precision(graph: Any) -> str:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in graph.node):
        return "int8"
    float16 = 10  # onnx.TensorProto.FLOAT16
    types = [weight.data_type for weight in graph.initializer if len(weight.dims) == 4]
    return "fp16" if types and types.count(float16) * 2 > len(types) else "fp32"


def _type(item: Any) -> np.dtype:
    from onnx import helper

    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type))
    except (KeyError, TypeError):  # a type of a later ONNX version, or not a tensor
        return np.dtype(np.object_)


def _shape(item: Any) -> tuple[int | None, ...]:
    dimensions = item.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.dim_value > 0 else None for size in dimensions)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)
