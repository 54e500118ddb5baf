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

"""Reads a TensorFlow Lite file (FlatBuffers schema version 3) into plain Python records.

Reads only what the converter needs: tensors with their quantisation, operators with their options, constant data. The
field numbers are the positions in the public schema, ``tensorflow/lite/schema/schema.fbs``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from flatbuffers import flexbuffers
from flatbuffers import number_types as types
from flatbuffers.table import Table

from edgecam_core.errors import ModelError

MAGIC = b"TFL3"
DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
BUILTIN = {
    0: "ADD",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    14: "LOGISTIC",
    22: "RESHAPE",
    32: "CUSTOM",
}
PADDING = ("SAME", "VALID")
ACTIVATIONS = {0: "NONE", 1: "RELU", 3: "RELU6"}

# Per operator, option name: (field number, FlatBuffers type, default).
OPTIONS: dict[str, dict[str, tuple[int, Any, int]]] = {
    "ADD": {"activation": (0, types.Int8Flags, 0)},
    "CONCATENATION": {"axis": (0, types.Int32Flags, 0), "activation": (1, types.Int8Flags, 0)},
    "CONV_2D": {
        "padding": (0, types.Int8Flags, 0),
        "stride_w": (1, types.Int32Flags, 0),
        "stride_h": (2, types.Int32Flags, 0),
        "activation": (3, types.Int8Flags, 0),
        "dilation_w": (4, types.Int32Flags, 1),
        "dilation_h": (5, types.Int32Flags, 1),
    },
    "DEPTHWISE_CONV_2D": {
        "padding": (0, types.Int8Flags, 0),
        "stride_w": (1, types.Int32Flags, 0),
        "stride_h": (2, types.Int32Flags, 0),
        "activation": (4, types.Int8Flags, 0),
        "dilation_w": (5, types.Int32Flags, 1),
        "dilation_h": (6, types.Int32Flags, 1),
    },
}


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor. ``data`` is None for activations; ``scale`` is None if the tensor is not quantised.

    ``scale`` and ``zero_point`` have one entry, or one per index of the dimension ``axis``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    data: np.ndarray | None
    scale: np.ndarray | None
    zero_point: np.ndarray | None
    axis: int

    def centred(self) -> np.ndarray:
        """The stored constant minus its zero point, float64 (exact for integers)."""
        if self.data is None:
            raise ModelError(f"tensor '{self.name}' has no constant data")
        if self.scale is None:
            return self.data.astype(np.float64)
        assert self.zero_point is not None
        return self.data.astype(np.float64) - self._spread(self.zero_point)

    def real(self) -> np.ndarray:
        """The dequantised constant, float64: scale x (stored - zero point)."""
        return self.centred() if self.scale is None else self.centred() * self._spread(self.scale)

    def limits(self) -> tuple[float, float] | None:
        """The range of real numbers that this tensor can hold; None if it is not quantised."""
        if self.scale is None or self.zero_point is None:
            return None
        info = np.iinfo(self.dtype)
        scale, zero = float(self.scale[0]), int(self.zero_point[0])
        return (int(info.min) - zero) * scale, (int(info.max) - zero) * scale

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Reshape per-tensor or per-axis values so that they broadcast over the data."""
        if values.size == 1:
            return values.astype(np.float64).reshape(())
        shape = [1] * len(self.shape)
        shape[self.axis] = values.size
        return values.astype(np.float64).reshape(shape)


@dataclass(frozen=True)
class Operator:
    """One operator; ``options`` are its integer options by name, or the map of a custom operator."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """The main subgraph: operators in execution order; inputs and outputs are indices of ``tensors``."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def producer(self, tensor: int) -> Operator | None:
        """The operator that writes this tensor, None for inputs and constants."""
        return next((op for op in self.operators if tensor in op.outputs), None)


def read(data: bytes) -> Graph:
    """Parse the bytes of a ``.tflite`` file.

    Raises:
        ModelError: not a TFLite file, truncated, or damaged.
    """
    if data[4:8] != MAGIC:
        raise ModelError(f"not a TensorFlow Lite file: bytes 4 to 7 are {data[4:8]!r}, expected {MAGIC!r}")
    try:
        return _graph(data)
    except (struct.error, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"damaged TensorFlow Lite file ({len(data)} bytes): {error!r}") from error


def _graph(data: bytes) -> Graph:
    model = _Fields(Table(data, struct.unpack_from("<I", data, 0)[0]))
    buffers = [b.numbers(0, types.Uint8Flags) for b in model.tables(4)]
    codes = [_operator_code(c) for c in model.tables(1)]
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise ModelError(f"the file has {len(subgraphs)} subgraphs; only one is supported")
    graph = subgraphs[0]
    return Graph(
        tensors=tuple(_tensor(t, buffers) for t in graph.tables(0)),
        operators=tuple(_operator(o, codes) for o in graph.tables(3)),
        inputs=graph.indices(1),
        outputs=graph.indices(2),
    )


def _operator_code(code: _Fields) -> str:
    number = max(code.number(0, types.Int8Flags, 0), code.number(3, types.Int32Flags, 0))
    return code.text(1) if number == 32 else BUILTIN.get(number, f"builtin {number}")


def _tensor(fields: _Fields, buffers: list[np.ndarray]) -> TfliteTensor:
    name, shape = fields.text(3), fields.indices(0)
    kind = fields.number(1, types.Int8Flags, 0)
    if kind not in DTYPES:
        raise ModelError(f"tensor '{name}' has type number {kind}, which is not supported")
    dtype = np.dtype(DTYPES[kind])
    raw = buffers[fields.number(2, types.Uint32Flags, 0)]
    data = raw.view(dtype.newbyteorder("<")).reshape(shape) if raw.size else None
    scale = zero = None
    axis = 0
    quantisation = fields.table(4)
    if quantisation is not None and quantisation.numbers(2, types.Float32Flags).size:
        scale = quantisation.numbers(2, types.Float32Flags)
        zero = quantisation.numbers(3, types.Int64Flags)
        zero = zero if zero.size else np.zeros(scale.shape, np.int64)
        axis = quantisation.number(6, types.Int32Flags, 0)
    return TfliteTensor(name, shape, dtype, data, scale, zero, axis)


def _operator(fields: _Fields, codes: list[str]) -> Operator:
    kind = codes[fields.number(0, types.Uint32Flags, 0)]
    options: dict[str, Any] = {}
    if kind in OPTIONS:
        table = fields.table(4)
        for name, (slot, flags, default) in OPTIONS[kind].items():
            options[name] = default if table is None else table.number(slot, flags, default)
    else:
        custom = fields.numbers(5, types.Uint8Flags)
        if custom.size:
            options = flexbuffers.Loads(bytearray(custom.tobytes()))
    return Operator(kind, fields.indices(1), fields.indices(2), options)


class _Fields:
    """A FlatBuffers table read by field number."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _at(self, slot: int) -> int:
        """Offset of the field from the start of the table; 0 if the file has no such field."""
        return self._table.Offset(4 + 2 * slot)

    def number(self, slot: int, flags: Any, default: int) -> int:
        at = self._at(slot)
        return self._table.Get(flags, self._table.Pos + at) if at else default

    def text(self, slot: int) -> str:
        at = self._at(slot)
        return self._table.String(self._table.Pos + at).decode() if at else ""

    def table(self, slot: int) -> _Fields | None:
        at = self._at(slot)
        return _Fields(Table(self._table.Bytes, self._table.Indirect(self._table.Pos + at))) if at else None

    def tables(self, slot: int) -> list[_Fields]:
        at = self._at(slot)
        if not at:
            return []
        start = self._table.Vector(at)
        return [
            _Fields(Table(self._table.Bytes, self._table.Indirect(start + 4 * i)))
            for i in range(self._table.VectorLen(at))
        ]

    def numbers(self, slot: int, flags: Any) -> np.ndarray:
        at = self._at(slot)
        return self._table.GetVectorAsNumpy(flags, at) if at else np.zeros(0, flags.py_type)

    def indices(self, slot: int) -> tuple[int, ...]:
        return tuple(int(i) for i in self.numbers(slot, types.Int32Flags))
