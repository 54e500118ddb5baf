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

"""Reads the headers inside NAL units bit by bit (ITU-T H.264 section 7.2, identical in H.265)."""

from __future__ import annotations


class BitstreamError(ValueError):
    """A header that is truncated, contains an invalid value, or refers to an unknown parameter set."""


class Bits:
    """Reads the first ``limit`` bytes of a NAL unit's payload without emulation prevention bytes, high bit first.

    Raises:
        BitstreamError: from every method that reads past the end.
    """

    def __init__(self, payload: bytes, limit: int = 512) -> None:
        data = _without_emulation_prevention(payload[:limit])
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def u(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        if count > self._left:
            raise BitstreamError("a header is truncated")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        """An Exp-Golomb coded unsigned number."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise BitstreamError("a header contains an Exp-Golomb code of more than 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def skip_ue(self, count: int) -> None:
        """Skip ``count`` Exp-Golomb coded numbers."""
        for _ in range(count):
            self.ue()

    def se(self) -> int:
        """An Exp-Golomb coded signed number."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _without_emulation_prevention(data: bytes) -> bytes:
    """The raw byte sequence payload: without the 03 after two zeros."""
    pieces, begin = [], 0
    while (at := data.find(b"\x00\x00\x03", begin)) >= 0:
        pieces.append(data[begin : at + 2])
        begin = at + 3
    return b"".join([*pieces, data[begin:]])


def recovery_payload(sei: bytes) -> Bits | None:
    """The recovery point message (payload type 6 in H.264 and H.265) of an SEI unit without its NAL unit header.

    Raises:
        BitstreamError: a message is longer than the unit.
    """
    data = _without_emulation_prevention(sei)
    at = 0
    while at + 2 <= len(data):  # the last byte is the trailing bit
        kind, at = _sei_number(data, at)
        size, at = _sei_number(data, at)
        if at + size > len(data):
            raise BitstreamError("an SEI message is longer than its unit")
        if kind == 6:
            return Bits(data[at : at + size])
        at += size
    return None


def _sei_number(data: bytes, at: int) -> tuple[int, int]:
    """An SEI payload type or size (each byte 255 is followed by another), and the offset after it."""
    number = 0
    while at < len(data) and data[at] == 0xFF:
        number += 255
        at += 1
    if at >= len(data):
        raise BitstreamError("an SEI message is truncated")
    return number + data[at], at + 1
