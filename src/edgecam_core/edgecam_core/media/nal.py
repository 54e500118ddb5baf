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

"""NAL units in byte streams, and what the RTP payload formats of H.264 and H.265 have in common."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Sequence

START_CODE = b"\x00\x00\x00\x01"
_SIZE = struct.Struct("!H")


class PacketError(ValueError):
    """Bytes that are not a packet of the expected kind; the text describes the problem."""


def split(stream: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes and surrounding zeros."""
    units = []
    at = stream.find(b"\x00\x00\x01")
    while at >= 0:
        following = stream.find(b"\x00\x00\x01", at + 3)
        unit = stream[at + 3 : following if following >= 0 else len(stream)].rstrip(b"\x00")
        if unit:
            units.append(unit)
        at = following
    return units


def split_sized(stream: bytes, size_bytes: int) -> list[bytes]:
    """The NAL units of a stream with length fields of ``size_bytes`` (``avc`` and ``hvc1`` in GStreamer's caps).

    Units that exceed the stream are ignored.
    """
    units, at = [], 0
    while at + size_bytes <= len(stream):
        size = int.from_bytes(stream[at : at + size_bytes], "big")
        at += size_bytes
        if size and at + size <= len(stream):
            units.append(stream[at : at + size])
        at += size
    return units


def join(units: Iterable[bytes]) -> bytes:
    """An Annex B byte stream of these NAL units."""
    return b"".join(piece for unit in units for piece in (START_CODE, unit))


def aggregate(units: Sequence[bytes]) -> bytes:
    """Units with their sizes, as in aggregation packets of RFC 6184 and RFC 7798."""
    return b"".join(_SIZE.pack(len(unit)) + unit for unit in units)


def disaggregate(block: bytes, shortest: int) -> list[bytes]:
    """The units of an aggregation packet.

    Raises:
        PacketError: a size does not fit, or a unit is shorter than its header.
    """
    units = []
    at = 0
    while at < len(block):
        if at + 2 > len(block):
            raise PacketError("aggregation packet: truncated in a size")
        (size,) = _SIZE.unpack_from(block, at)
        at += 2
        if size < shortest or at + size > len(block):
            raise PacketError(f"aggregation packet: a unit of {size} bytes does not fit")
        units.append(block[at : at + size])
        at += size
    return units


def groups(units: Sequence[bytes], limit: int) -> list[list[bytes]]:
    """Groups of consecutive units that fit into one aggregation packet of ``limit`` bytes; large units are alone."""
    found: list[list[bytes]] = []
    used = limit
    for unit in units:
        size = len(unit) + 2
        if found and used + size <= limit:
            found[-1].append(unit)
            used += size
        else:
            found.append([unit])
            used = size
    return found


def continue_unit(open_unit: list[bytes], header: bytes, body: bytes, first: bool, last: bool) -> list[bytes]:
    """Add one fragment of a NAL unit to ``open_unit``; returns the unit once it is complete.

    Raises:
        PacketError: the fragment is empty, or does not follow the previous one.
    """
    if not body:
        raise PacketError("a fragment is empty")
    if first == bool(open_unit):
        open_unit.clear()
        raise PacketError("fragments of a NAL unit do not follow each other")
    if first:
        open_unit.append(header)
    open_unit.append(body)
    if not last:
        return []
    unit = b"".join(open_unit)
    open_unit.clear()
    return [unit]


def encode64(unit: bytes) -> str:
    return base64.b64encode(unit).decode("ascii")


def decode64(text: str) -> list[bytes]:
    """The units in comma-separated base 64.

    Raises:
        ValueError: the text is not base 64.
    """
    return [base64.b64decode(part, validate=True) for part in text.split(",") if part]
