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

"""Sends access units: packets, encryption, parity, retransmission, RTCP sender reports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from edgecam_core.counters import Counters, Meter
from edgecam_core.media.codecs import codec
from edgecam_core.rtp import clock, rtcp
from edgecam_core.rtp.adaptation import Adaptation
from edgecam_core.rtp.destinations import Destinations
from edgecam_core.rtp.feedback_listener import FeedbackListener
from edgecam_core.rtp.pacer import Pacer
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.rtp.parity import PORT_OFFSET, ParityMaker, payload_type
from edgecam_core.rtp.retransmission import Retransmitter
from edgecam_core.rtp.sender_stats import SenderStats
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.rtp.srtp import CIPHERS, Protector, read_key
from edgecam_core.rtp.unprotector import Unprotector

REPORT_SECONDS = 1.0
_BITRATE_SECONDS = 2.0
UDP_IP = 28  # bytes of UDP and IPv4 header


class Transmitter:
    """Sends one RTP stream to all its destinations.

    Call ``send`` and ``report`` from one thread, and ``listen`` from one thread per socket.

    Raises:
        SettingError: an address does not resolve, or the SRTP key cannot be read.
    """

    def __init__(
        self,
        settings: SenderSettings,
        force_keyframe: Callable[[], object],
        counters: Counters,
        adaptation: Adaptation | None,
        stopping: threading.Event,
    ) -> None:
        trailer = CIPHERS[settings.srtp_cipher].trailer if settings.srtp_key else 0
        self._packetiser = Packetiser(codec(settings.codec), settings.payload_type, settings.mtu, trailer)
        self.ssrc = self._packetiser.ssrc
        self._protector: Protector | None = None
        self._parity_protector: Protector | None = None
        unprotector: Unprotector | None = None
        if settings.srtp_key:
            key = read_key(settings.srtp_key, settings.srtp_cipher)
            self._protector = Protector(settings.srtp_cipher, key, self.ssrc)
            unprotector = Unprotector(settings.srtp_cipher, key)
        self._parity: ParityMaker | None = None
        if settings.redundancy:
            self._parity = ParityMaker(self.ssrc, payload_type(settings.payload_type), settings.redundancy / 100)
            if settings.srtp_key:
                self._parity_protector = Protector(settings.srtp_cipher, key, self._parity.ssrc)
        self._bytes = Meter(window=_BITRATE_SECONDS, capacity=20_000)
        self._destinations = Destinations(settings, counters)
        self._retransmitter = Retransmitter()
        self._adaptation = adaptation
        self._pacer = Pacer(stopping)
        self._feedback = FeedbackListener(
            self.ssrc,
            self._destinations,
            self._retransmitter,
            unprotector,
            force_keyframe,
            counters,
            self._bytes,
            adaptation,
        )
        self._packets = self._octets = self._parity_packets = 0
        self._stamp_ns = 0
        self._report_at = 0.0

    @property
    def first_address(self) -> str:
        """Numeric address of the first receiver, for the session description."""
        return self._destinations.first_address

    def open(self) -> list[socket.socket]:
        """Open the sockets; :meth:`listen` needs one thread for each."""
        return self._destinations.open()

    def listen(self, source: socket.socket, stopping: threading.Event) -> None:
        """Read and handle feedback until ``stopping`` is set."""
        self._feedback.listen(source, stopping)

    def send(self, nals: list[bytes], stamp_ns: int) -> None:
        """Send one access unit; blocks while the pacer waits."""
        packets = self._packetiser.packets(nals, stamp_ns)
        if self._protector is not None:
            packets = [(sequence, self._protector.rtp(data)) for sequence, data in packets]
        for sequence, data in packets:
            self._retransmitter.sent(sequence, data)
            self._pacer.wait(len(data))
            if self._adaptation is not None:
                self._adaptation.sent(sequence, len(data) + UDP_IP, time.monotonic())
            self._transmit(data, 0)
        parities = self._parity.add(packets, self._packetiser.timestamp) if self._parity is not None else []
        if self._parity_protector is not None:
            parities = [self._parity_protector.rtp(data) for data in parities]
        for data in parities:
            self._pacer.wait(len(data))
            self._transmit(data, PORT_OFFSET)
        self._stamp_ns = stamp_ns
        self._packets += len(packets)
        self._parity_packets += len(parities)
        self._octets += sum(len(data) for _, data in packets)

    def _transmit(self, data: bytes, port_offset: int) -> None:
        self._destinations.send_all(data, port_offset)
        self._bytes.add(time.monotonic(), len(data))

    def pace(self, bitrate: float | None) -> None:
        """Limit the packet rate to this many bit/s; None: no limit."""
        self._pacer.set_rate(bitrate)

    def report(self) -> None:
        """Send an RTCP sender report if one is due and packets have been sent."""
        now = time.monotonic()
        if now < self._report_at or not self._packets:
            return
        self._report_at = now + REPORT_SECONDS
        ntp = clock.ntp_from_ns(self._stamp_ns)
        report = rtcp.sender_report(self.ssrc, ntp, self._packetiser.timestamp, self._packets, self._octets)
        self._send_control(report + rtcp.source_description(self.ssrc, f"edgecam-{self.ssrc:08x}"))

    def _send_control(self, data: bytes) -> None:
        if self._protector is not None:
            data = self._protector.rtcp(data)
        self._destinations.send_all(data, 1)

    def add_to(self, stats: SenderStats) -> None:
        """Fill in the packet counts and rates."""
        stats.packets = self._packets
        stats.parity_packets = self._parity_packets
        stats.bitrate = self._bytes.sum(time.monotonic()) * 8 / _BITRATE_SECONDS
        stats.sent_bitrate = self._bytes.sum(time.monotonic()) * 8 / _BITRATE_SECONDS
        stats.resent = self._retransmitter.resent
        stats.keyframe_requests = self._feedback.keyframe_requests

    def close(self) -> None:
        """Send RTCP BYE and close the sockets; safe to call twice."""
        if self._destinations.is_open:
            self._send_control(rtcp.receiver_report(self.ssrc) + rtcp.bye(self.ssrc))
        self._destinations.close()
