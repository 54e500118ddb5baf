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

"""Redundancy for one-way links: Reed-Solomon parity packets on a second port.

The packets of two frames (or of one large frame) form a block of ``k``. With ``r`` parity packets, any ``r`` lost
packets of the ``k + r`` can be restored. Parity packets are RTP packets with their own SSRC, payload type and port, so
that receivers without support never see them. Layout after the RTP header, in network byte order::

    media SSRC (32) | first sequence number (16) | k (8) | index (8) | parity of length (16) + RTP packet, zero padded

The coefficients are ``gf256.cauchy``. This module uses no sockets and no clocks.
"""

from __future__ import annotations

import math
import random
import struct
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from edgecam_core.rtp import gf256
from edgecam_core.rtp import packet as rtp
from edgecam_core.rtp.packet import PacketError

PORT_OFFSET = 2  # media port + 1 is RTCP's
MAX_DATA = 128  # packets in a block; with as many parity packets this reaches the code's limit of 256
FRAMES = 2
LARGE = 24  # packets: a block of this size closes with its frame
_HEADER = struct.Struct("!IHBB")
_LENGTH = struct.Struct("!H")
_MEMORY = 1024
_BLOCKS = 16
_EXPIRE = 4 * MAX_DATA  # packets after the first packet of a block, when those still missing count as lost


def payload_type(media: int) -> int:
    """The payload type of the parity packets for a stream of payload type ``media``."""
    return media + 1 if media < 127 else 126


class ParityMaker:
    """Makes the parity packets at the sender. ``share`` is the ratio of parity to media packets, 0..1."""

    def __init__(self, media_ssrc: int, payload_type: int, share: float) -> None:
        self._media_ssrc = media_ssrc
        self._payload_type = payload_type
        self._share = share
        self.ssrc = random.SystemRandom().getrandbits(32)
        self._sequence = random.SystemRandom().getrandbits(16)
        self._block: list[tuple[int, bytes]] = []
        self._frames = 0

    def add(self, packets: list[tuple[int, bytes]], timestamp: int) -> list[bytes]:
        """Add the packets (sequence number, bytes) of one frame; returns the parity packets to send now."""
        parities: list[bytes] = []
        self._frames += 1
        for start in range(0, len(packets), MAX_DATA):
            piece = packets[start : start + MAX_DATA]
            if len(self._block) + len(piece) > MAX_DATA:
                parities += self._close(timestamp)
            self._block += piece
        if self._frames >= FRAMES or len(self._block) >= LARGE:
            parities += self._close(timestamp)
        return parities

    def _close(self, timestamp: int) -> list[bytes]:
        block, self._block, self._frames = self._block, [], 0
        if not block:
            return []
        count = max(1, math.ceil(len(block) * self._share))
        data = _stack([data for _, data in block])
        parities = gf256.combine(gf256.cauchy(list(range(count)), list(range(len(block)))), data)
        return [self._packet(block[0][0], len(block), index, each, timestamp) for index, each in enumerate(parities)]

    def _packet(self, first: int, size: int, index: int, parity: np.ndarray, timestamp: int) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        payload = _HEADER.pack(self._media_ssrc, first, size, index) + parity.tobytes()
        return rtp.build(self._payload_type, False, self._sequence, timestamp, self.ssrc, payload)


def _stack(packets: list[bytes], length: int = 0) -> np.ndarray:
    """Packets as rows of equal length (N, L) uint8: length, packet, zero padding."""
    length = max(length, 2 + max(map(len, packets), default=0))
    rows = np.zeros((len(packets), length), np.uint8)
    for row, data in zip(rows, packets, strict=True):
        row[:2] = np.frombuffer(_LENGTH.pack(len(data)), np.uint8)
        row[2 : 2 + len(data)] = np.frombuffer(data, np.uint8)
    return rows


@dataclass(slots=True)
class _Block:
    """A block with missing packets: their sequence numbers, and the received parity payloads by index."""

    first: int
    size: int
    missing: set[int]
    parities: dict[int, bytes] = field(default_factory=dict)


class ParityRepair:
    """Restores lost packets of one stream at the receiver. Pass it every packet; it returns the packets restored."""

    def __init__(self, media_ssrc: int) -> None:
        self.media_ssrc = media_ssrc
        self._media: OrderedDict[int, bytes] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int, int], _Block] = OrderedDict()
        self._newest: int | None = None
        self.repaired = 0
        self.expired = 0  # blocks that lost more packets than their parity can restore

    def media(self, sequence: int, data: bytes) -> list[bytes]:
        """Add a media packet, which may complete a block; returns the packets restored."""
        self._remember(sequence, data)
        if self._newest is None or (sequence - self._newest) & 0xFFFF < 1 << 15:
            self._newest = sequence
            self._expire(sequence)
        found = []
        for key in [key for key, block in self._blocks.items() if sequence in block.missing]:
            self._blocks[key].missing.discard(sequence)
            found += self._repair(key)
        return found

    def _remember(self, sequence: int, data: bytes) -> None:
        self._media.pop(sequence, None)
        self._media[sequence] = data
        if len(self._media) > _MEMORY:
            self._media.popitem(last=False)

    def _expire(self, newest: int) -> None:
        for key, block in list(self._blocks.items()):
            behind = (newest - block.first) & 0xFFFF
            if _EXPIRE < behind < 1 << 15:
                del self._blocks[key]
                self.expired += 1

    def parity(self, data: bytes) -> list[bytes]:
        """Add a datagram of the parity port; returns the media packets it restores.

        Raises:
            PacketError: it is not a parity packet, or belongs to another stream.
        """
        payload = rtp.parse(data).payload
        if len(payload) < _HEADER.size + rtp.HEADER_SIZE + 2:
            raise PacketError(f"a parity packet is longer than {len(payload)} bytes")
        ssrc, first, size, index = _HEADER.unpack_from(payload)
        if ssrc != self.media_ssrc or not 0 < size <= MAX_DATA or index >= MAX_DATA:
            raise PacketError("parity of another stream")
        key = (first, size, len(payload))  # parities of one block have one length
        block = self._blocks.get(key)
        if block is None:
            numbers = {(first + at) & 0xFFFF for at in range(size)}
            missing = numbers.difference(self._media)
            if not missing:
                return []
            block = self._blocks[key] = _Block(first, size, missing)
        block.parities[index] = payload[_HEADER.size :]
        while len(self._blocks) > _BLOCKS:
            self._blocks.popitem(last=False)
        return self._repair(key)

    def _repair(self, key: tuple[int, int, int]) -> list[bytes]:
        block = self._blocks[key]
        if len(block.missing) > len(block.parities):
            return []
        del self._blocks[key]
        if not block.missing:
            return []
        places = sorted((number - block.first) & 0xFFFF for number in block.missing)
        if any((block.first + at) & 0xFFFF not in self._media for at in range(block.size) if at not in places):
            return []  # a packet of the block has been discarded meanwhile
        return self._solve(block.first, block.size, places, dict(list(block.parities.items())[: len(places)]))

    def _solve(self, first: int, size: int, missing: list[int], block: dict[int, bytes]) -> list[bytes]:
        length = len(next(iter(block.values())))
        present = [at for at in range(size) if at not in missing]
        known = [self._media[(first + at) & 0xFFFF] for at in present]
        if any(len(each) + 2 > length for each in known):
            return []
        rows = list(block)
        sums = np.stack([np.frombuffer(each, np.uint8) for each in block.values()])
        if present:
            sums = sums ^ gf256.combine(gf256.cauchy(rows, present), _stack(known, length))
        solved = gf256.combine(gf256.invert(gf256.cauchy(rows, missing)), sums)
        found = []
        for at, row in zip(missing, solved, strict=True):
            data = row.tobytes()
            (used,) = _LENGTH.unpack_from(data)
            if rtp.HEADER_SIZE <= used <= length - 2:
                found.append(data[2 : 2 + used])
                self._remember((first + at) & 0xFFFF, found[-1])
        self.repaired += len(found)
        return found
