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

"""Restores the packet order of one stream: waits for missing packets, requests them, and skips them in time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from edgecam_core.rtp.packet import RtpPacket

MILLISECOND = 1_000_000
MAX_DROPOUT = 3000  # RFC 3550 appendix A.1: a larger step forward is another sequence
MAX_MISORDER = 100  # RFC 3550 appendix A.1: a larger step back is another sequence
MAX_REPEATS = 64  # old packets in a row: with more, the sender has restarted; a network does not duplicate that many
REPEAT_REQUEST_NS = 8 * MILLISECOND  # before a round trip has been measured
REQUEST_AFTER_NS = 2 * MILLISECOND  # reordered packets arrive without a request; longer if there are many
MAX_REQUEST_AFTER_NS = 20 * MILLISECOND
MAX_REQUESTS = 20  # for one packet
QUICK_REQUESTS = 5  # then at growing intervals: a sender that does not respond may be overloaded
MAX_REPAIR = 256  # packets missing in a row: more is an outage, and requesting them all would overload the link
MAX_REQUESTED = 4096  # sequence numbers remembered


class Arrived(NamedTuple):
    """A packet in sequence order; ``packet`` is None for a gap of lost packets."""

    packet: RtpPacket | None
    arrival_ns: int


@dataclass(slots=True)
class _Missing:
    noticed_ns: int
    first_requested_ns: int = 0
    requested_ns: int = 0
    requests: int = 0


@dataclass(slots=True)
class Counts:
    """Packets since the start. ``missing``: not received in sequence (lost or late); ``lost``: never received."""

    received: int = 0
    missing: int = 0
    recovered: int = 0
    lost: int = 0
    duplicate: int = 0
    late: int = 0
    resynchronised: int = 0


class ReorderBuffer:
    """A jitter buffer that adds no delay while nothing is missing.

    ``wait_ns`` is the longest time that a gap may delay the packets after it. The caller passes times in nanoseconds
    of any monotonic clock. The buffer holds at most ``MAX_DROPOUT`` packets.
    """

    def __init__(self, wait_ns: int) -> None:
        self.wait_ns = wait_ns
        self.counts = Counts()
        self.round_trip_ns = REPEAT_REQUEST_NS
        self._next: int | None = None  # extended sequence number of the next packet to return
        self._highest = 0
        self._held: dict[int, Arrived] = {}
        self._missing: dict[int, _Missing] = {}
        self._stray: Arrived | None = None
        self._requested: OrderedDict[int, int] = OrderedDict()  # number of requests, also for packets received since
        self._request_after_ns = REQUEST_AFTER_NS
        self._timestamps: OrderedDict[int, int] = OrderedDict()  # of the newest packets received
        self._repeats = 0

    def push(self, packet: RtpPacket, now_ns: int, arrival_ns: int) -> None:
        """Add one packet. ``arrival_ns`` is returned with it."""
        if self._next is None:
            self._next = self._highest = packet.sequence + (1 << 16)
        step = (packet.sequence - self._highest + (1 << 15)) % (1 << 16) - (1 << 15)
        number = self._highest + step
        if self._is_elsewhere(number, step, packet.timestamp):
            if number in self._requested and number not in self._timestamps:
                self.counts.late += 1  # a very late retransmission is not a new stream
                return
            stray, self._stray = self._stray, Arrived(packet, arrival_ns)
            if stray is None or stray.packet is None or packet.sequence != (stray.packet.sequence + 1) & 0xFFFF:
                self.counts.late += 1  # two in sequence start a new stream; a single one may be a stray
                return
            self._restart(number, stray)
        self._stray = None
        self._place(number, packet, now_ns, arrival_ns)

    def _is_elsewhere(self, number: int, step: int, timestamp: int) -> bool:
        """Whether a packet belongs to another sequence: too far away, or a known number with another timestamp."""
        known = self._timestamps.get(number)
        if known is not None:
            self._repeats = self._repeats + 1 if known == timestamp else self._repeats
            return known != timestamp or self._repeats > MAX_REPEATS
        self._repeats = 0
        return not -MAX_MISORDER < step < MAX_DROPOUT and number not in self._missing

    def _restart(self, number: int, first: Arrived) -> None:
        self._held = {number - 2: Arrived(None, 0), number - 1: first}  # starts with a gap, to inform the reader
        self._missing.clear()
        self._requested.clear()
        self._timestamps.clear()
        self._repeats = 0
        self._next, self._highest = number - 2, number - 1
        self.counts.resynchronised += 1

    def _place(self, number: int, packet: RtpPacket, now_ns: int, arrival_ns: int) -> None:
        assert self._next is not None
        if number in self._held or number < self._next:
            self.counts.duplicate += number in self._held
            self.counts.late += number not in self._held
            if self._requested.get(number) == 1:  # it arrived twice: delayed, and retransmitted
                self._request_after_ns += max(0, MAX_REQUEST_AFTER_NS - self._request_after_ns) // 8
            return
        if missing := self._missing.pop(number, None):
            self.counts.recovered += 1
            if missing.requests:
                self._request_after_ns -= (self._request_after_ns - REQUEST_AFTER_NS) // 64
                # Measured from the first request, although the packet may answer a later one: an estimate from packets
                # requested only once could never exceed the pause between two requests.
                took = min(now_ns - missing.first_requested_ns, self.wait_ns)
                self.round_trip_ns += (took - self.round_trip_ns) // 8
        self.counts.received += 1
        self._held[number] = Arrived(packet, arrival_ns)
        self._timestamps[number] = packet.timestamp
        if len(self._timestamps) > MAX_REQUESTED:
            self._timestamps.popitem(last=False)
        gap = range(max(self._highest + 1, self._next), number)
        hopeless = len(gap) > MAX_REPAIR
        for each in gap:
            unreachable = _Missing(now_ns - self.wait_ns, requests=MAX_REQUESTS)
            self._missing[each] = unreachable if hopeless else _Missing(now_ns)
        self.counts.missing += len(gap)
        self._highest = max(self._highest, number)

    def pop(self, now_ns: int, give_up: bool = True) -> list[Arrived]:
        """The packets that are next in sequence; each gap of lost packets is one entry without a packet.

        ``give_up=False`` does not skip gaps that have lasted too long, because more datagrams may be queued.
        """
        ready: list[Arrived] = []
        if self._next is None:
            return ready
        while self._next <= self._highest:
            if arrived := self._held.pop(self._next, None):
                ready.append(arrived)
            else:
                missing = self._missing.get(self._next)
                if missing is not None and (not give_up or now_ns - missing.noticed_ns < self.wait_ns):
                    break
                self._missing.pop(self._next, None)
                self.counts.lost += 1
                if not ready or ready[-1].packet is not None:
                    ready.append(Arrived(None, 0))
            self._next += 1
        return ready

    def wake_ns(self) -> int | None:
        """When :meth:`pop` would skip the first gap; None while nothing is missing."""
        missing = self._missing.get(self._next) if self._next is not None else None
        return None if missing is None else missing.noticed_ns + self.wait_ns

    def due_requests(self, now_ns: int) -> list[int]:
        """Sequence numbers to request now: each soon after it is noticed missing, then once per round trip.

        If there is time for one response only, the request is repeated after half the pause, because it may be lost.
        """
        sequences = []
        for number in sorted(self._missing):
            missing = self._missing[number]
            if missing.requests < MAX_REQUESTS and now_ns >= self._request_due_ns(missing, now_ns):
                missing.first_requested_ns = missing.first_requested_ns or now_ns
                missing.requests += 1
                missing.requested_ns = now_ns
                sequences.append(number & 0xFFFF)
                self._requested[number] = missing.requests
        while len(self._requested) > MAX_REQUESTED:
            self._requested.popitem(last=False)
        return sequences

    def _request_due_ns(self, missing: _Missing, now_ns: int) -> int:
        if not missing.requests:
            spare_ns = self.wait_ns - 2 * self.round_trip_ns  # leaves time for two requests
            return missing.noticed_ns + max(REQUEST_AFTER_NS, min(self._request_after_ns, spare_ns))
        trip = self.round_trip_ns
        hurry = missing.noticed_ns + self.wait_ns - now_ns < 2 * trip
        pause_ns = max(5 * MILLISECOND, trip // 2 if hurry else trip * 5 // 4)
        return missing.requested_ns + pause_ns * (1 if hurry else max(1, missing.requests - QUICK_REQUESTS))

    def expect_more(self, now_ns: int) -> None:
        """Count the packet after the newest as missing: the newest is not the last of its frame, and none follows."""
        if self._next is not None and self._highest + 1 not in self._missing:
            self._highest += 1
            self._missing[self._highest] = _Missing(now_ns)
            self.counts.missing += 1

    @property
    def highest(self) -> int:
        """The highest extended sequence number so far (RFC 3550)."""
        return self._highest

    @property
    def waiting(self) -> bool:
        """Whether packets are missing that may still arrive."""
        return bool(self._missing)
