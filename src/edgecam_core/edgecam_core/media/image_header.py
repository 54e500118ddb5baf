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

"""Width, height and completeness of an encoded image, read from its headers only."""

from __future__ import annotations

import re
import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # JPEG markers without a length: TEM, RST0 to RST7
_SOF = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as stored (before EXIF rotation); None for an unknown format or a truncated header.

    Supports JPEG, PNG, BMP, GIF, WebP, TIFF and PNM.
    """
    try:
        return _size(data)
    except (struct.error, IndexError):
        return None


def is_jpeg(data: bytes) -> bool:
    """Whether the data begins like a JPEG (ITU-T T.81)."""
    return data[:3] == b"\xff\xd8\xff"


def jpeg_is_complete(data: bytes) -> bool:
    """Whether the JPEG has its end-of-image marker; data after it (the clip of a motion photo) is ignored.

    Segments are skipped by their length, so that the end marker of an embedded thumbnail does not count.
    """
    return any(marker == _EOI for marker, _ in _jpeg_markers(data))


def _size(data: bytes) -> tuple[int, int] | None:
    if is_jpeg(data):
        return _jpeg_size(data)
    if data[:8] == _PNG:
        return struct.unpack_from(">II", data, 16)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return struct.unpack_from("<HH", data, 6)
    if data[:2] == b"BM":
        return _bmp_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_size(data)
    found = _PNM.match(data[:4096])
    return (int(found[1]), int(found[2])) if found else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, start in _jpeg_markers(data):
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, start + 3)
            return width, height
    return None


def _jpeg_markers(data: bytes) -> list[tuple[int, int]]:
    """The marker codes up to the end of the image, and the offsets of their segments (the length field)."""
    found: list[tuple[int, int]] = []
    place = 2
    while 0 <= place < len(data) - 1:
        if data[place] != 0xFF:  # entropy-coded data, in which FF is followed by 00 or RSTn; or damage
            place = data.find(b"\xff", place)
            continue
        marker = data[place + 1]
        if marker == 0xFF:  # fill bytes
            place += 1
            continue
        if marker == 0x00 or marker in _STANDALONE:
            place += 2
            continue
        found.append((marker, place + 2))
        if marker == _EOI or place + 4 > len(data):
            break
        place += 2 if marker == _SOI else 2 + struct.unpack_from(">H", data, place + 2)[0]
    return found


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return abs(width), abs(height)  # a negative height means that the top row is stored first


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    values: dict[int, int] = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257):  # ImageWidth, ImageLength
            (values[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return (values[256], values[257]) if len(values) == 2 else None
