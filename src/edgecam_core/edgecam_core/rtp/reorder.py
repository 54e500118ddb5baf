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

"""Puts packets of one stream back into order: waits for missing ones, requests them, and skips them in time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from edgecam_core.rtp.packet import RtpPacket

MILLISECOND = 1_000_000
MAX_DROPOUT = 3000  # RFC 3550 appendix A.1: a larger step forward is another sequence
MAX_MISORDER = 100  # further back than this is another sequence as well
MAX_REPEATS = 64  # copies of old packets in a row: more is a sender that begins again, not a network that repeats
ASK_AGAIN_NS = 8 * MILLISECOND  # before a round trip has been measured
ASK_AFTER_NS = 2 * MILLISECOND  # reordered packets arrive without a request; longer if there are many
ASK_AFTER_MOST_NS = 20 * MILLISECOND
MAX_ASKS = 20
QUICK_ASKS = 5  # then at growing intervals: a sender that does not respond may be overloaded
MAX_REPAIR = 256  # missing in a row: more is an outage, and asking for all of it would be another one
MAX_ASKED = 4096  # sequence numbers remembered


class Arrived(NamedTuple):
    """A packet in its place. ``packet`` is None for one that is lost for good."""

    packet: RtpPacket | None
    arrival_ns: int


@dataclass(slots=True)
class _Missing:
    noticed_ns: int
    first_asked_ns: int = 0
    asked_ns: int = 0
    asks: int = 0


@dataclass(slots=True)
class Counts:
    """What happened since the start. ``missing``: not there in time (lost or late); ``lost``: never arrived."""

    received: int = 0
    missing: int = 0
    recovered: int = 0
    lost: int = 0
    duplicate: int = 0
    late: int = 0
    resynchronised: int = 0


class ReorderBuffer:
    """A jitter buffer that adds no delay while nothing is missing.

    ``wait_ns`` is the longest time a gap may hold back what follows it. Times are nanoseconds of any monotonic clock,
    given by the caller. At most ``MAX_DROPOUT`` packets are ever held.
    """

    def __init__(self, wait_ns: int) -> None:
        self.wait_ns = wait_ns
        self.counts = Counts()
        self.round_trip_ns = ASK_AGAIN_NS
        self._next: int | None = None  # extended sequence number of the next packet to give out
        self._highest = 0
        self._held: dict[int, Arrived] = {}
        self._missing: dict[int, _Missing] = {}
        self._stray: Arrived | None = None
        self._asked: OrderedDict[int, int] = OrderedDict()  # number of requests, also for packets that have arrived
        self._ask_after_ns = ASK_AFTER_NS
        self._timestamps: OrderedDict[int, int] = OrderedDict()  # of the newest packets received
        self._repeats = 0

    def push(self, packet: RtpPacket, now_ns: int, arrival_ns: int) -> None:
        """Take one packet. ``arrival_ns`` is handed through."""
        if self._next is None:
            self._next = self._highest = packet.sequence + (1 << 16)
        step = (packet.sequence - self._highest + (1 << 15)) % (1 << 16) - (1 << 15)
        number = self._highest + step
        if self._is_elsewhere(number, step, packet.timestamp):
            if number in self._asked and number not in self._timestamps:
                self.counts.late += 1  # a very late retransmission is not a new stream
                return
            stray, self._stray = self._stray, Arrived(packet, arrival_ns)
            if stray is None or stray.packet is None or packet.sequence != (stray.packet.sequence + 1) & 0xFFFF:
                self.counts.late += 1  # two in a row make a new beginning, one may be a stray
                return
            self._restart(number, stray)
        self._stray = None
        self._place(number, packet, now_ns, arrival_ns)

    def _is_elsewhere(self, number: int, step: int, timestamp: int) -> bool:
        """Whether a packet is not of this sequence: too far away, or in the place of one with another time."""
        known = self._timestamps.get(number)
        if known is not None:
            self._repeats = self._repeats + 1 if known == timestamp else self._repeats
            return known != timestamp or self._repeats > MAX_REPEATS
        self._repeats = 0
        return not -MAX_MISORDER < step < MAX_DROPOUT and number not in self._missing

    def _restart(self, number: int, first: Arrived) -> None:
        self._held = {number - 2: Arrived(None, 0), number - 1: first}  # begins with a gap, for the reader to know
        self._missing.clear()
        self._asked.clear()
        self._timestamps.clear()
        self._repeats = 0
        self._next, self._highest = number - 2, number - 1
        self.counts.resynchronised += 1

    def _place(self, number: int, packet: RtpPacket, now_ns: int, arrival_ns: int) -> None:
        assert self._next is not None
        if number in self._held or number < self._next:
            self.counts.duplicate += number in self._held
            self.counts.late += number not in self._held
            if self._asked.get(number) == 1:  # it arrived twice: delayed, and retransmitted
                self._ask_after_ns += max(0, ASK_AFTER_MOST_NS - self._ask_after_ns) // 8
            return
        if missing := self._missing.pop(number, None):
            self.counts.recovered += 1
            if missing.asks:
                self._ask_after_ns -= (self._ask_after_ns - ASK_AFTER_NS) // 64
                # From the first request, though a later one may have been answered: an estimate that takes only
                # packets requested once can never grow beyond the pause between two requests.
                took = min(now_ns - missing.first_asked_ns, self.wait_ns)
                self.round_trip_ns += (took - self.round_trip_ns) // 8
        self.counts.received += 1
        self._held[number] = Arrived(packet, arrival_ns)
        self._timestamps[number] = packet.timestamp
        if len(self._timestamps) > MAX_ASKED:
            self._timestamps.popitem(last=False)
        holes = range(max(self._highest + 1, self._next), number)
        hopeless = len(holes) > MAX_REPAIR
        for hole in holes:
            self._missing[hole] = _Missing(now_ns - self.wait_ns, asks=MAX_ASKS) if hopeless else _Missing(now_ns)
        self.counts.missing += len(holes)
        self._highest = max(self._highest, number)

    def pop(self, now_ns: int, give_up: bool = True) -> list[Arrived]:
        """Everything that is in its turn now; lost ones as one entry without a packet per gap.

        ``give_up=False`` leaves gaps open that have lasted too long: more datagrams may be waiting to be read.
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

    def ask(self, now_ns: int) -> list[int]:
        """Sequence numbers to request now: new ones soon, the others once per round trip.

        If there is time for one response only, the request is repeated after half the pause: it may be lost too.
        """
        wanted = []
        for number in sorted(self._missing):
            missing = self._missing[number]
            if missing.asks < MAX_ASKS and now_ns >= self._ask_due_ns(missing, now_ns):
                missing.first_asked_ns = missing.first_asked_ns or now_ns
                missing.asks += 1
                missing.asked_ns = now_ns
                wanted.append(number & 0xFFFF)
                self._asked[number] = missing.asks
        while len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        return wanted

    def _ask_due_ns(self, missing: _Missing, now_ns: int) -> int:
        if not missing.asks:
            spare_ns = self.wait_ns - 2 * self.round_trip_ns  # leaves time for two requests
            return missing.noticed_ns + max(ASK_AFTER_NS, min(self._ask_after_ns, spare_ns))
        trip = self.round_trip_ns
        hurry = missing.noticed_ns + self.wait_ns - now_ns < 2 * trip
        pause_ns = max(5 * MILLISECOND, trip // 2 if hurry else trip * 5 // 4)
        return missing.asked_ns + pause_ns * (1 if hurry else max(1, missing.asks - QUICK_ASKS))

    def expect_more(self, now_ns: int) -> None:
        """The newest packet was not the last of its frame and nothing follows: its successor counts as missing."""
        if self._next is not None and self._highest + 1 not in self._missing:
            self._highest += 1
            self._missing[self._highest] = _Missing(now_ns)
            self.counts.missing += 1

    @property
    def highest(self) -> int:
        """The highest sequence number so far, with its wraps."""
        return self._highest

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still arrive."""
        return bool(self._missing)
