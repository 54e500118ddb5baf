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

"""Coded buffers of a GStreamer pipeline as NAL units, with start codes or length fields."""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from edgecam_core.media import nal
from edgecam_core.media.binding import load
from edgecam_core.media.codecs import CODECS


class CodedBuffer(NamedTuple):
    """One coded buffer.

    ``codec`` is ``h264`` or ``h265``. ``nals`` are its NAL units and ``sets`` the parameter sets of ``codec_data``. All
    three are empty for other codecs. ``pts_ns`` is None if the buffer has no time. ``delta``: needs earlier frames.
    ``discont``: follows a gap. ``damaged``: a part is missing.
    """

    codec: str
    nals: list[bytes]
    sets: tuple[bytes, ...]
    pts_ns: int | None
    delta: bool
    discont: bool
    damaged: bool


class _Framing(NamedTuple):
    codec: str
    size_bytes: int  # 0: start codes
    sets: tuple[bytes, ...]


def read_buffer(buffer: Any, caps: Any) -> CodedBuffer:
    """The content of a buffer with these caps; copies its data."""
    gst = load()
    flags = buffer.get_flags()
    framing = _framing(caps.to_string() if caps else "")
    nals: list[bytes] = []
    if framing.codec:
        data = buffer.extract_dup(0, buffer.get_size())
        nals = nal.split_sized(data, framing.size_bytes) if framing.size_bytes else nal.split(data)
    return CodedBuffer(
        framing.codec,
        nals,
        framing.sets,
        None if buffer.pts == gst.CLOCK_TIME_NONE else int(buffer.pts),
        bool(flags & gst.BufferFlags.DELTA_UNIT),
        bool(flags & gst.BufferFlags.DISCONT),
        bool(flags & gst.BufferFlags.CORRUPTED),
    )


@functools.lru_cache(maxsize=16)
def _framing(caps: str) -> _Framing:
    name = next((row.name for row in CODECS.values() if caps.startswith(row.media_type)), "")
    match = re.search(r"codec_data=\(buffer\)([0-9a-fA-F]+)", caps)
    if not name or not match:
        return _Framing(name, 0, ())
    size_bytes, sets = parameter_sets(name, bytes.fromhex(match[1]))
    return _Framing(name, size_bytes, tuple(sets))


def parameter_sets(codec: str, record: bytes) -> tuple[int, list[bytes]]:
    """The size of the length field in bytes, and the parameter sets, of a ``codec_data``.

    ``record`` is a decoder configuration record of ISO/IEC 14496-15 section 5.3.3 (H.264) or 8.3.3 (H.265). If it is
    truncated, the parameter sets before the end are returned.
    """
    sets: list[bytes] = []
    if codec == "h264":
        at = 5
        for mask in (0x1F, 0xFF):  # sequence, then picture parameter sets
            units, at = _units(record, at + 1, record[at] & mask if at < len(record) else 0)
            sets += units
        return (record[4] & 3) + 1 if len(record) > 4 else 4, sets
    at = 23
    for _ in range(record[22] if len(record) > 22 else 0):
        units, at = _units(record, at + 3, int.from_bytes(record[at + 1 : at + 3], "big"))
        sets += units
    return (record[21] & 3) + 1 if len(record) > 21 else 4, sets


def _units(record: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    units = []
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        units.append(record[at + 2 : at + 2 + size])
        at += 2 + size
    return units, at
