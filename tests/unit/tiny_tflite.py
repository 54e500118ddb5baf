"""Writes minimal TensorFlow Lite files, and states what they compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

CODES = {"ADD": 0, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "LOGISTIC": 14, "RESHAPE": 22, "TANH": 28}
CUSTOM = 32
POST = "TFLite_Detection_PostProcess"
KINDS = {"float32": 0, "int32": 2, "uint8": 3, "int8": 9}
# options tables: the union's type number, then (field, size in bytes, name)
OPTIONS: dict[str, tuple[int, list[tuple[int, int, str]]]] = {
    "CONV_2D": (1, [(0, 1, "padding"), (1, 4, "stride"), (2, 4, "stride"), (3, 1, "activation")]),
    "DEPTHWISE_CONV_2D": (2, [(0, 1, "padding"), (1, 4, "stride"), (2, 4, "stride"), (4, 1, "activation")]),
    "CONCATENATION": (10, [(0, 4, "axis")]),
    "ADD": (11, [(0, 1, "activation")]),
}


@dataclass
class T:
    """A tensor; ``scale`` one number, or one per index of ``axis``."""

    name: str
    shape: tuple[int, ...]
    kind: str = "uint8"
    scale: Any = None
    zero: Any = 0
    data: np.ndarray | None = None
    axis: int = 0

    def real(self) -> np.ndarray:
        assert self.data is not None
        spread = [1] * len(self.shape)
        if np.ndim(self.scale):
            spread[self.axis] = -1
        scale = np.asarray(self.scale, np.float32).astype(float).reshape(spread if np.ndim(self.scale) else ())
        return (self.data.astype(float) - float(self.zero)) * scale


@dataclass
class Op:
    kind: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=dict)


def write(tensors: list[T], ops: list[Op], inputs: list[int], outputs: list[int]) -> bytes:
    """The bytes of a model with one subgraph."""
    b = flatbuffers.Builder(4096)
    kinds = sorted({op.kind for op in ops})
    buffers = [_table(b, 1, lambda: None)]
    places = []
    for tensor in tensors:
        places.append(len(buffers) if tensor.data is not None else 0)
        if tensor.data is not None:
            raw = b.CreateNumpyVector(np.frombuffer(tensor.data.astype(tensor.kind).tobytes(), np.uint8))
            buffers.append(_table(b, 1, lambda raw=raw: b.PrependUOffsetTRelativeSlot(0, raw, 0)))
    subgraph = _subgraph(b, tensors, places, ops, kinds, inputs, outputs)
    codes = [_code(b, kind) for kind in kinds]
    fields = {1: _vector(b, codes), 2: _vector(b, [subgraph]), 4: _vector(b, buffers)}

    def model() -> None:
        b.PrependUint32Slot(0, 3, 0)
        for slot, offset in fields.items():
            b.PrependUOffsetTRelativeSlot(slot, offset, 0)

    b.Finish(_table(b, 5, model), file_identifier=b"TFL3")
    return bytes(b.Output())


def _table(b: flatbuffers.Builder, slots: int, fill: Any) -> int:
    b.StartObject(slots)
    fill()
    return b.EndObject()


def _vector(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _code(b: flatbuffers.Builder, kind: str) -> int:
    custom = b.CreateString(kind) if kind not in CODES else 0

    def fill() -> None:
        b.PrependInt8Slot(0, CODES.get(kind, CUSTOM), 0)
        if custom:
            b.PrependUOffsetTRelativeSlot(1, custom, 0)

    return _table(b, 4, fill)


def _subgraph(
    b: flatbuffers.Builder,
    tensors: list[T],
    places: list[int],
    ops: list[Op],
    kinds: list[str],
    inputs: list[int],
    outputs: list[int],
) -> int:
    made = _vector(b, [_tensor(b, tensor, place) for tensor, place in zip(tensors, places, strict=True)])
    steps = _vector(b, [_operator(b, op, kinds) for op in ops])
    ends = [b.CreateNumpyVector(np.array(end, np.int32)) for end in (inputs, outputs)]

    def fill() -> None:
        for slot, offset in enumerate([made, *ends, steps]):
            b.PrependUOffsetTRelativeSlot(slot, offset, 0)

    return _table(b, 4, fill)


def _tensor(b: flatbuffers.Builder, tensor: T, place: int) -> int:
    name = b.CreateString(tensor.name)
    shape = b.CreateNumpyVector(np.array(tensor.shape, np.int32))
    quantisation = 0
    if tensor.scale is not None:
        scale = b.CreateNumpyVector(np.atleast_1d(np.asarray(tensor.scale, np.float32)))
        zero = b.CreateNumpyVector(np.atleast_1d(np.asarray(tensor.zero, np.int64)))

        def facts() -> None:
            b.PrependUOffsetTRelativeSlot(2, scale, 0)
            b.PrependUOffsetTRelativeSlot(3, zero, 0)
            b.PrependInt32Slot(6, tensor.axis, 0)

        quantisation = _table(b, 7, facts)

    def fill() -> None:
        b.PrependUOffsetTRelativeSlot(0, shape, 0)
        b.PrependInt8Slot(1, KINDS[tensor.kind], 0)
        b.PrependUint32Slot(2, place, 0)
        b.PrependUOffsetTRelativeSlot(3, name, 0)
        if quantisation:
            b.PrependUOffsetTRelativeSlot(4, quantisation, 0)

    return _table(b, 5, fill)


def _operator(b: flatbuffers.Builder, op: Op, kinds: list[str]) -> int:
    ends = [b.CreateNumpyVector(np.array(end, np.int32)) for end in (op.inputs, op.outputs)]
    number, options, custom = 0, 0, 0
    if op.kind in OPTIONS:
        number, fields = OPTIONS[op.kind]

        def choose() -> None:
            for slot, size, name in fields:
                prepend = b.PrependInt8Slot if size == 1 else b.PrependInt32Slot
                prepend(slot, op.options.get(name, 0), 0)

        options = _table(b, 7, choose)
    elif op.options:
        custom = b.CreateByteVector(bytes(flexbuffers.Dumps(op.options)))

    def fill() -> None:
        b.PrependUint32Slot(0, kinds.index(op.kind), 0)
        b.PrependUOffsetTRelativeSlot(1, ends[0], 0)
        b.PrependUOffsetTRelativeSlot(2, ends[1], 0)
        if options:
            b.PrependUint8Slot(3, number, 0)
            b.PrependUOffsetTRelativeSlot(4, options, 0)
        if custom:
            b.PrependUOffsetTRelativeSlot(5, custom, 0)

    return _table(b, 6, fill)
