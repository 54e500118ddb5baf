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

"""Detects truncated video files by the lengths that their containers state.

MP4 and QuickTime: ISO/IEC 14496-12, 4.2. AVI: RIFF chunks. Matroska and WebM: RFC 8794 (EBML), RFC 9559.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_OPEN = 0xFFFFFFFF  # a RIFF length that was never filled in


def missing_bytes(path: str | Path) -> int:
    """Number of bytes missing at the end of a file; 0 if it is complete, or if its container states no length.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] == _EBML:
            return max(0, _matroska(file) - size)
        if head[:4] == b"RIFF":
            return max(0, _chunks(file, size, _riff_chunk) - size)
        if head[4:8] == b"ftyp":
            return max(0, _chunks(file, size, _box) - size)
    return 0


def _chunks(file: BinaryIO, size: int, length: Callable[[bytes], int]) -> int:
    """The offset at which the last top-level chunk ends; 0 if a chunk states no length."""
    at = 0
    while at < size:
        file.seek(at)
        step = length(file.read(16))
        if step < 8:
            return 0
        at += step
    return at


def _box(head: bytes) -> int:
    length = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if length == 1 else length  # 0: up to the end of the file


def _riff_chunk(head: bytes) -> int:
    length = int.from_bytes(head[4:8], "little")
    return 0 if head[:4] != b"RIFF" or length in (0, _OPEN) else 8 + length + length % 2


def _matroska(file: BinaryIO) -> int:
    """The offset at which the segment ends; 0 if its length is unknown, as in a live stream."""
    file.seek(4)
    header = _number(file)
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return 0
    length = _number(file)
    return file.tell() + length if length >= 0 else 0


def _number(file: BinaryIO) -> int:
    """An EBML length (RFC 8794, 4); -1: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return -1
    width = 9 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0xFF >> width)]) + file.read(width - 1), "big")
    return -1 if value == (1 << 7 * width) - 1 else value
