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

"""RTP payloads in sequence order to access units; each states whether it is complete."""

from __future__ import annotations

from typing import NamedTuple

from edgecam_core.media.bits import BitstreamError
from edgecam_core.media.codecs import Codec
from edgecam_core.rtp.clock import NTP_ID, stamp_from_extension
from edgecam_core.rtp.packet import PacketError, RtpPacket

MAX_UNIT_BYTES = 32 << 20  # an access unit larger than this is an attack or an error


class AccessUnit(NamedTuple):
    """One access unit. ``whole``: no part is missing. ``follows_gap``: packets were lost before it.

    ``random_access``: decoding can begin here, or a gradual refresh begins. ``stream`` counts streams from 1.
    """

    nals: list[bytes]
    timestamp: int
    stamp_ns: int | None  # from the header extension
    arrival_ns: int  # wall clock at its first packet
    random_access: bool
    whole: bool
    follows_gap: bool
    stream: int = 1


class Assembler:
    """Collects the payloads of one stream. Push packets in sequence order; call :meth:`gap` where some are missing."""

    def __init__(self, codec: Codec, stamp_id: int = NTP_ID, stream: int = 1) -> None:
        self._codec = codec
        self._stream = stream
        self._stamp_id = stamp_id
        self._lost = True  # the stream may have begun before the first packet
        self._begin_unit(0, True, None, 0)
        self._open = False
        self.malformed = 0

    def gap(self) -> None:
        """Packets are missing between the last one and the next one, and will not arrive."""
        self._lost = True

    def push(self, packet: RtpPacket, arrival_ns: int) -> list[AccessUnit]:
        """The access units that end with this packet: usually none or one, two if a marker was missing."""
        done = []
        if self._open and packet.timestamp != self._timestamp:
            done.append(self._end_unit())  # the sender sets no marker, or the packet with the marker was lost
        if not self._open:
            head_lost = self._lost and not self._codec.begins_unit(packet.payload)
            stamp = stamp_from_extension(packet.extensions.get(self._stamp_id, b""))
            self._begin_unit(packet.timestamp, not head_lost, stamp, arrival_ns)
        elif self._lost:
            self._whole = False
            self._follows_gap = True
        self._lost = False
        self._collect(packet.payload)
        if packet.marker:
            done.append(self._end_unit())
        return done

    def _begin_unit(self, timestamp: int, whole: bool, stamp_ns: int | None, arrival_ns: int) -> None:
        self._open = True
        self._timestamp, self._whole, self._stamp_ns, self._arrival_ns = timestamp, whole, stamp_ns, arrival_ns
        self._follows_gap = self._lost
        self._nals: list[bytes] = []
        self._fragments: list[bytes] = []
        self._size = 0

    def _collect(self, payload: bytes) -> None:
        self._size += len(payload)
        if self._size > MAX_UNIT_BYTES:
            self._whole = False
            self._nals.clear()
            self._fragments.clear()
            return
        try:
            self._nals += self._codec.unpack(payload, self._fragments)
        except PacketError:
            # After a loss, fragments of this unit do not fit together; that is not the sender's error.
            self.malformed += self._whole
            self._whole = False

    def _end_unit(self) -> AccessUnit:
        self._open = False
        whole = self._whole and not self._fragments and not self._lost
        slices = [kind for kind in map(self._codec.kind, self._nals) if self._codec.is_vcl(kind)]
        keyframe = bool(slices) and all(map(self._codec.is_keyframe, slices))
        random_access = keyframe or self._has_recovery_point()
        return AccessUnit(
            self._nals,
            self._timestamp,
            self._stamp_ns,
            self._arrival_ns,
            random_access,
            whole,
            self._follows_gap,
            self._stream,
        )

    def _has_recovery_point(self) -> bool:
        try:
            return self._codec.recovery_count(self._nals) is not None
        except BitstreamError:
            return False
