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

"""Datagrams to access units: selects the stream, orders packets, marks gaps. Has no sockets and no clock."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from edgecam_core.media.codecs import Codec
from edgecam_core.rtp import packet as rtp
from edgecam_core.rtp import rtcp
from edgecam_core.rtp.arrivals import PacketArrivals
from edgecam_core.rtp.assembler import AccessUnit, Assembler
from edgecam_core.rtp.clock import CLOCK_RATE, SECOND, signed_difference
from edgecam_core.rtp.parity import ParityRepair
from edgecam_core.rtp.reorder import MILLISECOND, Counts, ReorderBuffer
from edgecam_core.rtp.stamps import StampReader
from edgecam_core.rtp.unprotector import Unprotector

Address = tuple[str, int]
HANDOVER_NS = 300 * MILLISECOND  # after this long without packets, another stream may replace the current one
MAX_CANDIDATES = 8
TAIL_NS = 8 * MILLISECOND


@dataclass(slots=True)
class _Held:
    packet: rtp.RtpPacket
    arrival_ns: int
    sender: Address
    data: bytes


@dataclass(slots=True)
class Stream:
    """The stream being received."""

    ssrc: int
    sender: Address
    buffer: ReorderBuffer
    assembler: Assembler
    repair: ParityRepair | None
    last_ns: int
    arrivals: PacketArrivals = field(default_factory=PacketArrivals)
    jitter: float = 0.0  # RFC 3550 section 6.4.1, in RTP clock units
    transit: int | None = None
    tail_open: bool = False
    said_bye: bool = False


@dataclass
class RtpSession:
    """The receiving side of one RTP session.

    Pass every datagram to :meth:`datagram`, and call :meth:`tick` when no more are queued. Both return the complete
    access units. Only :meth:`tick` skips missing packets, because they may be among the queued datagrams.

    The session follows one stream at a time. A stream begins with two packets of one SSRC in sequence (RFC 3550
    appendix A.1) and ends with a BYE or after ``HANDOVER_NS`` without packets. Packets of other streams are counted
    and dropped meanwhile. ``payload_type`` None accepts any. ``source`` restricts the sender's address (None: any).
    """

    codec: Codec
    payload_type: int | None
    wait_ns: int
    source: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    stamp_id: int = 1
    redundancy: bool = False
    unprotector: Unprotector | None = None
    stamps: StampReader = field(default_factory=StampReader)
    counts: Counter[str] = field(default_factory=Counter)
    stream: Stream | None = None
    streams: int = 0
    _past: Counts = field(default_factory=Counts)
    _candidates: OrderedDict[int, _Held] = field(default_factory=OrderedDict)
    _reports: OrderedDict[int, rtcp.SenderReport] = field(default_factory=OrderedDict)

    def datagram(self, data: bytes, sender: Address, now_ns: int, wall_ns: int) -> list[AccessUnit]:
        """Handle one datagram of the RTP port. ``now_ns`` is monotonic, ``wall_ns`` the wall clock."""
        if not self._is_allowed(sender):
            return []
        if rtp.is_rtcp(data):
            self._control(data)
            return []
        packet = self._parse(data)
        return [] if packet is None else self._packet(_Held(packet, wall_ns, sender, data), now_ns)

    def _parse(self, data: bytes) -> rtp.RtpPacket | None:
        """Decrypt and parse; None (and counted) if the packet does not belong to the stream."""
        if self.unprotector is not None:
            clear, refusal = self.unprotector.rtp(data)
            if clear is None:
                self.counts[refusal or "repeated"] += 1
                return None
        else:
            clear = data
        try:
            packet = rtp.parse(clear)
        except rtp.PacketError:
            self.counts["not RTP"] += 1
            return None
        if self.payload_type not in (packet.payload_type, None):
            self.counts[f"payload type {packet.payload_type} instead of {self.payload_type}"] += 1
            return None
        return packet

    def _is_allowed(self, sender: Address) -> bool:
        """Whether ``source`` allows the sender; counts the datagram if not."""
        if self.source is None:
            return True
        address = ipaddress.ip_address(sender[0].partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        allowed = (mapped or address) in self.source
        if not allowed:
            self.counts["from another address"] += 1
        return allowed

    def _packet(self, held: _Held, now_ns: int) -> list[AccessUnit]:
        stream = self.stream
        if stream is not None and held.packet.ssrc == stream.ssrc:
            self._accept(stream, held, now_ns)
            return self._drain(stream, now_ns, give_up=False)
        if stream is not None and not stream.said_bye and now_ns - stream.last_ns < HANDOVER_NS:
            self.counts["of a second sender"] += 1
            return []
        return self._candidate(held, now_ns)

    def _candidate(self, held: _Held, now_ns: int) -> list[AccessUnit]:
        first = self._candidates.pop(held.packet.ssrc, None)
        if first is None or held.packet.sequence != (first.packet.sequence + 1) & 0xFFFF:
            self._candidates[held.packet.ssrc] = held
            while len(self._candidates) > MAX_CANDIDATES:
                self._candidates.popitem(last=False)
            return []
        units = self.finish(now_ns)
        ssrc = held.packet.ssrc
        repair = ParityRepair(ssrc) if self.redundancy else None
        self.streams += 1
        assembler = Assembler(self.codec, self.stamp_id, self.streams)
        stream = Stream(ssrc, held.sender, ReorderBuffer(self.wait_ns), assembler, repair, now_ns)
        self.stream = stream
        self._candidates.clear()
        self.stamps.reset()
        if early := self._reports.pop(stream.ssrc, None):
            self.stamps.report(early.ntp, early.rtp_timestamp)
        self._accept(stream, first, now_ns)
        self._accept(stream, held, now_ns)
        return units + self._drain(stream, now_ns, give_up=False)

    def finish(self, now_ns: int) -> list[AccessUnit]:
        """End the current stream; returns its remaining access units."""
        stream, self.stream = self.stream, None
        if stream is None:
            return []
        stream.buffer.wait_ns = 0
        units = self._drain(stream, now_ns)
        self._past = self._total(stream)
        self.counts["malformed payloads"] += stream.assembler.malformed
        return units

    def _accept(self, stream: Stream, held: _Held, now_ns: int) -> None:
        stream.last_ns = now_ns
        stream.sender = held.sender
        stream.tail_open = not held.packet.marker
        self._measure_jitter(stream, held.packet.timestamp, now_ns)
        stream.arrivals.note(held.packet.sequence, now_ns)
        stream.buffer.push(held.packet, now_ns, held.arrival_ns)
        if stream.repair is not None:
            self._repaired(stream, stream.repair.media(held.packet.sequence, held.data), now_ns, held.arrival_ns)

    def _repaired(self, stream: Stream, datagrams: list[bytes], now_ns: int, wall_ns: int) -> None:
        for data in datagrams:
            packet = self._parse(data)
            if packet is not None and packet.ssrc == stream.ssrc:
                stream.tail_open = stream.tail_open and not packet.marker
                stream.buffer.push(packet, now_ns, wall_ns)

    def parity(self, data: bytes, sender: Address, now_ns: int, wall_ns: int) -> list[AccessUnit]:
        """Handle one datagram of the parity port."""
        stream = self.stream
        if not self._is_allowed(sender) or stream is None or stream.repair is None:
            return []
        if self.unprotector is not None:
            clear, refusal = self.unprotector.rtp(data)
            if clear is None:
                self.counts[refusal or "repeated"] += 1
                return []
            data = clear
        try:
            self._repaired(stream, stream.repair.parity(data), now_ns, wall_ns)
        except rtp.PacketError:
            self.counts["parity of another stream"] += 1
        return self._drain(stream, now_ns, give_up=False)

    def _measure_jitter(self, stream: Stream, timestamp: int, now_ns: int) -> None:
        arrival = now_ns * (CLOCK_RATE // 10_000) // (SECOND // 10_000) & 0xFFFFFFFF
        transit = (arrival - timestamp) & 0xFFFFFFFF
        if stream.transit is not None:
            stream.jitter += (abs(signed_difference(transit, stream.transit)) - stream.jitter) / 16
        stream.transit = transit

    def _drain(self, stream: Stream, now_ns: int, give_up: bool = True) -> list[AccessUnit]:
        units: list[AccessUnit] = []
        for packet, arrival_ns in stream.buffer.pop(now_ns, give_up):
            if packet is None:
                stream.assembler.gap()
            else:
                units += stream.assembler.push(packet, arrival_ns)
        return units

    def tick(self, now_ns: int) -> list[AccessUnit]:
        """Skip packets that have been missing for too long. Call when no datagram is queued."""
        stream = self.stream
        if stream is None:
            return []
        if stream.said_bye:
            return self.finish(now_ns)
        if stream.tail_open and now_ns - stream.last_ns >= TAIL_NS:
            stream.tail_open = False
            stream.buffer.expect_more(now_ns)
        return self._drain(stream, now_ns)

    def control(self, data: bytes, sender: Address) -> None:
        """Handle one datagram of the RTCP port."""
        if self._is_allowed(sender):
            self._control(data)

    def _control(self, data: bytes) -> None:
        clear = data if self.unprotector is None else self.unprotector.rtcp(data)
        if clear is None:
            self.counts["SRTCP authentication failed"] += 1
            return
        try:
            messages = rtcp.parse(clear)
        except rtp.PacketError:
            self.counts["not RTCP"] += 1
            return
        for message in messages:
            if isinstance(message, rtcp.SenderReport):
                self._report(message)
            elif isinstance(message, rtcp.Bye) and self.stream and self.stream.ssrc in message.ssrcs:
                self.stream.said_bye = True  # packets that were sent before it may still be queued; tick ends it

    def _report(self, report: rtcp.SenderReport) -> None:
        if self.stream is not None and report.ssrc == self.stream.ssrc:
            self.stamps.report(report.ntp, report.rtp_timestamp)
            return
        self._reports[report.ssrc] = report  # some senders begin with a report and send the next one seconds later
        while len(self._reports) > MAX_CANDIDATES:
            self._reports.popitem(last=False)

    def wake_ns(self) -> int | None:
        """The time to call :meth:`tick` even if no datagram arrives; None: not needed."""
        if self.stream is None:
            return None
        gap = self.stream.buffer.wake_ns()
        if self.stream.tail_open:
            tail = self.stream.last_ns + TAIL_NS
            return tail if gap is None else min(gap, tail)
        return gap

    def packets(self) -> Counts:
        """Packet counts of all streams so far."""
        return self._past if self.stream is None else self._total(self.stream)

    def _total(self, stream: Stream) -> Counts:
        old, new = self._past, stream.buffer.counts
        return Counts(*(getattr(old, name) + getattr(new, name) for name in Counts.__slots__))
