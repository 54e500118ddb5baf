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

"""Access units to RTP packets."""

from __future__ import annotations

import random

from edgecam_core.media.codecs import Codec
from edgecam_core.rtp import packet as rtp
from edgecam_core.rtp.clock import NTP_ID, RtpTimeline, ntp_extension


class Packetiser:
    """Numbers and stamps the packets of one RTP stream. SSRC and first sequence number are random (RFC 3550).

    Every packet leaves ``trailer`` bytes of the ``mtu`` free for the data that encryption adds.
    """

    def __init__(self, codec: Codec, payload_type: int, mtu: int, trailer: int = 0) -> None:
        self._codec = codec
        self._payload_type = payload_type
        self._timeline = RtpTimeline()
        self._sequence = random.SystemRandom().getrandbits(16)
        extension = len(rtp.extension_block({NTP_ID: bytes(8)}))
        self._limit = mtu - rtp.HEADER_SIZE - extension - trailer
        self.ssrc = random.SystemRandom().getrandbits(32)
        self.timestamp = 0

    def packets(self, nals: list[bytes], stamp_ns: int) -> list[tuple[int, bytes]]:
        """Sequence number and bytes of every packet of one access unit; the last one carries the marker."""
        self.timestamp = self._timeline.timestamp(stamp_ns)
        extension = rtp.extension_block({NTP_ID: ntp_extension(stamp_ns)})
        payloads = self._codec.pack(nals, self._limit)
        packets = []
        for index, payload in enumerate(payloads, 1):
            last = index == len(payloads)
            sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
            data = rtp.build(self._payload_type, last, sequence, self.timestamp, self.ssrc, payload, extension)
            packets.append((sequence, data))
        return packets
