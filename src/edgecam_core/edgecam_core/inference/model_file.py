"""An ONNX file and the facts in it: tensors, metadata, fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_core.errors import MissingDependency, ModelError

PREFIX = "edgecam."


@dataclass(frozen=True)
class ModelFile:
    """A model on disk, read but not loaded for inference.

    ``inputs`` and ``outputs`` map names to shapes, None for a size that is free. ``precision`` is that of the
    weights: fp32, fp16, or int8 where values are quantised explicitly. ``metadata`` are the file's metadata_props as
    they are; :meth:`fact` reads the ``edgecam.*`` ones.
    """

    path: Path
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    metadata: Mapping[str, str]
    precision: str = "fp32"

    @classmethod
    def read(cls, path: str | Path) -> ModelFile:
        """Read an ONNX file; tens of milliseconds.

        Raises:
            ModelError: no such file, not ONNX, cut short, or without inputs or outputs.
            MissingDependency: the onnx package is not installed.
        """
        try:
            import onnx
        except ImportError as error:
            raise MissingDependency("the package 'onnx'", "pip install onnx") from error
        path = Path(path).expanduser()
        if not path.is_file():
            raise ModelError(f"parameter 'model' is '{path}': there is no such file; give the path of an ONNX file")
        try:
            proto = onnx.load(str(path), load_external_data=False)
        except Exception as error:  # protobuf's DecodeError has moved between versions
            raise ModelError(
                f"parameter 'model' is '{path}': this is not an ONNX file, or it is cut short ({_first_line(error)})"
            ) from error
        weights = {item.name for item in proto.graph.initializer}
        inputs = {item.name: _shape(item) for item in proto.graph.input if item.name not in weights}
        outputs = {item.name: _shape(item) for item in proto.graph.output}
        if not inputs or not outputs:
            raise ModelError(f"parameter 'model' is '{path}': this is not an ONNX file, or its graph is empty")
        metadata = {item.key: item.value for item in proto.metadata_props}
        return cls(path, inputs, outputs, metadata, _precision(proto.graph))

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 in hex: the identity of everything derived from it."""
        return cache.sha256(self.path)

    def fact(self, key: str, default: Any = None) -> Any:
        """The ``edgecam.<key>`` metadata: parsed where it is JSON, else as text; ``default`` where it is missing."""
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


def _shape(item: Any) -> tuple[int | None, ...]:
    dimensions = item.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.dim_value > 0 else None for size in dimensions)


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
