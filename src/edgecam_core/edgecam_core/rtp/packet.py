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

"""RTP packets (RFC 3550) with header extensions (RFC 8285): bytes to fields and back."""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgecam_core.media.nal import PacketError as PacketError

RTP_VERSION = 2
HEADER_SIZE = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the lower four bits are application bits
_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


class RtpPacket(NamedTuple):
    """The fields of one RTP packet. ``extensions`` maps the local identifier (1..255) to its bytes."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    extensions: dict[int, bytes]


def parse(data: bytes) -> RtpPacket:
    """The fields of an RTP packet.

    Raises:
        PacketError: the packet is too short, has another version, or contains lengths that do not fit.
    """
    size = len(data)
    if size < HEADER_SIZE:
        raise PacketError(f"an RTP header needs {HEADER_SIZE} bytes, got {size}")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != RTP_VERSION:
        raise PacketError(f"RTP version is {first >> 6}, not {RTP_VERSION}")
    start = HEADER_SIZE + 4 * (first & 0x0F)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        if size < start + 4:
            raise PacketError("cut inside the header extension")
        profile, words = _EXTENSION.unpack_from(data, start)
        begin, start = start + 4, start + 4 + 4 * words
        if size < start:
            raise PacketError("cut inside the header extension")
        extensions = _parse_extensions(profile, data[begin:start])
    end = size - data[-1] if first & 0x20 else size
    if end < start or (first & 0x20 and end == size):
        raise PacketError("the padding is longer than the packet")
    return RtpPacket(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, data[start:end], extensions)


def _parse_extensions(profile: int, block: bytes) -> dict[int, bytes]:
    if profile == ONE_BYTE_PROFILE:
        return _elements(block, one_byte=True)
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _elements(block, one_byte=False)
    return {}  # extension of another profile: skipped, as RFC 3550 requires


def _elements(block: bytes, one_byte: bool) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(block):
        if block[at] == 0:  # padding between elements
            at += 1
            continue
        if one_byte:
            name, length, at = block[at] >> 4, (block[at] & 0x0F) + 1, at + 1
            if name == 15:  # reserved: stop reading, RFC 8285 section 4.2
                break
        else:
            if at + 1 >= len(block):
                break
            name, length, at = block[at], block[at + 1], at + 2
        if at + length > len(block):
            break
        found[name] = block[at : at + length]
        at += length
    return found


def extension_block(elements: dict[int, bytes]) -> bytes:
    """The header extension with these elements (identifier 1..14, 1 to 16 bytes each) in the one-byte format."""
    body = b"".join(bytes([name << 4 | (len(value) - 1)]) + value for name, value in elements.items())
    body += bytes(-len(body) % 4)
    return _EXTENSION.pack(ONE_BYTE_PROFILE, len(body) // 4) + body


def build(
    payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes, extension: bytes = b""
) -> bytes:
    """The packet as bytes; ``extension`` is the result of :func:`extension_block`."""
    first = RTP_VERSION << 6 | (0x10 if extension else 0)
    second = payload_type | (0x80 if marker else 0)
    return _HEADER.pack(first, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + extension + payload


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP (RFC 5761 section 4: packet types 192 to 223)."""
    return len(data) >= 2 and data[0] >> 6 == RTP_VERSION and 192 <= data[1] <= 223
