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

"""Congestion control of the sender: the packets sent, the reports of each receiver, and the resulting rate."""

from __future__ import annotations

import threading
from collections import OrderedDict

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.rate_control import Acknowledged, RateController
from edgecam_core.rtp.sockets import Address
from edgecam_core.rtp.token_bucket import TokenBucket

MAX_RECEIVERS = 16
MAX_SENT = 8192
GONE_SECONDS = 5.0  # without feedback while other receivers send feedback: the receiver has left
REORDERED = 3  # packets; a missing packet further behind the newest counts as lost
RETRANSMIT_SHARE, RETRANSMIT_BURST = 0.3, 0.1  # share of the target rate, and burst in seconds of that rate
LONG_QUEUE, SHORT_QUEUE = 0.25, 0.15  # seconds of queuing delay: pause at the first, resume at the second
_WRAP = 65_536.0


class _Sent:
    """A packet in flight. The arrival of a ``retransmitted`` packet does not show the delay of the link."""

    __slots__ = ("at", "retransmitted", "size")

    def __init__(self, at: float, size: int) -> None:
        self.at, self.size, self.retransmitted = at, size, False


class _ReceiverRate:
    def __init__(self, least: float, most: float) -> None:
        self.controller = RateController(least, most)
        self.heard_at = 0.0
        self.round_trip = 0.0  # seconds, queuing included
        self.is_detailed = False  # reports each packet (RFC 8888)
        self.reported_at: float | None = None
        self.settled: OrderedDict[int, None] = OrderedDict()  # sequence numbers whose fate is known

    def unwrap(self, reported_at: float) -> float:
        """The receiver's clock without its wraps every 18 hours."""
        if self.reported_at is None:
            self.reported_at = reported_at
        step = (reported_at - self.reported_at + _WRAP / 2) % _WRAP - _WRAP / 2
        self.reported_at += step
        return self.reported_at


class Adaptation:
    """The rate of one stream. If it has several receivers, the one with the worst link decides. Thread-safe.

    Times are monotonic seconds, rates are bit/s.
    """

    def __init__(self, least: float, most: float) -> None:
        self._lock = threading.Lock()
        self._least, self._most = least, most
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._receivers: OrderedDict[Address, _ReceiverRate] = OrderedDict()
        self._paused_until = 0.0
        self._resend_budget = TokenBucket(most / 8 * RETRANSMIT_SHARE, most / 8 * RETRANSMIT_BURST)

    def limit(self, least: float, most: float) -> None:
        with self._lock:
            self._least, self._most = least, most
            for receiver in self._receivers.values():
                receiver.controller.limit(least, most)

    def sent(self, sequence: int, size: int, now: float) -> None:
        with self._lock:
            self._sent.pop(sequence, None)
            self._sent[sequence] = _Sent(now, size)
            while len(self._sent) > MAX_SENT:
                self._sent.popitem(last=False)

    def may_retransmit(self, sequence: int, size: int, now: float) -> bool:
        """Whether the link has room to retransmit a packet; if so, the packet counts as retransmitted.

        A link that became slower loses packets until its queue is short. Retransmitting them all would keep it full.
        """
        with self._lock:
            worst = self._worst(now)
            octets = (self._most if worst is None else worst.controller.target) / 8
            self._resend_budget.limit(octets * RETRANSMIT_SHARE, octets * RETRANSMIT_BURST)
            if not self._resend_budget.take(size, now):
                return False
            if sequence in self._sent:
                self._sent[sequence].retransmitted = True
            return True

    def round_trip(self, now: float) -> float:
        """Seconds from sending a packet to its report, queuing included; 0: unknown."""
        with self._lock:
            worst = self._worst(now)
            return 0.0 if worst is None else worst.round_trip

    def feedback(self, message: rtcp.CongestionFeedback, sender: Address, now: float) -> None:
        """A receiver reported which packets arrived, and when."""
        with self._lock:
            receiver = self._receiver(sender, now)
            receiver.is_detailed = True
            reported_at = receiver.unwrap(message.reported_at)
            packets, round_trip = self._settle(receiver, message, reported_at, now)
            if not packets:
                return
            controller = receiver.controller
            receiver.round_trip = round_trip
            controller.feedback(packets, now, round_trip)
            if controller.queuing_delay > LONG_QUEUE and now > self._paused_until + round_trip:
                self._paused_until = now + controller.queuing_delay - SHORT_QUEUE

    def _settle(
        self, receiver: _ReceiverRate, message: rtcp.CongestionFeedback, reported_at: float, now: float
    ) -> tuple[list[Acknowledged], float]:
        """The packets whose fate this message reports for the first time, and the newest round trip time."""
        packets, round_trip = [], 0.1
        for place, (sequence, age) in enumerate(message.arrivals):
            sent = self._sent.get(sequence)
            is_settled = age is not None or len(message.arrivals) - place > REORDERED
            if sent is None or not is_settled or sequence in receiver.settled:
                continue
            receiver.settled[sequence] = None
            if age is not None and not sent.retransmitted:
                round_trip = max(now - sent.at - age, 0.0)
            packets.append(
                Acknowledged(sent.at, None if age is None else reported_at - age, sent.size, sent.retransmitted)
            )
        while len(receiver.settled) > MAX_SENT:
            receiver.settled.popitem(last=False)
        return packets, round_trip

    def report(self, block: rtcp.ReportBlock, sender: Address, now: float) -> None:
        """A receiver reported its loss (RFC 3550). Ignored if it also sends RFC 8888 feedback."""
        with self._lock:
            receiver = self._receiver(sender, now)
            if not receiver.is_detailed:
                receiver.controller.report(block.loss)

    def _receiver(self, address: Address, now: float) -> _ReceiverRate:
        receiver = self._receivers.pop(address, None) or _ReceiverRate(self._least, self._most)
        receiver.heard_at = now
        self._receivers[address] = receiver
        while len(self._receivers) > MAX_RECEIVERS:
            self._receivers.popitem(last=False)
        return receiver

    def target(self, now: float) -> float:
        """The rate to send at now."""
        with self._lock:
            worst = self._worst(now)
            return self._most if worst is None else worst.controller.target

    def estimate(self, now: float) -> tuple[float, float]:
        """Received rate and queuing delay (seconds) of the receiver with the worst link; nan: unknown."""
        with self._lock:
            worst = self._worst(now)
            if worst is None:
                return float("nan"), float("nan")
            return worst.controller.estimate, worst.controller.queuing_delay

    def _worst(self, now: float) -> _ReceiverRate | None:
        newest = max((each.heard_at for each in self._receivers.values()), default=0.0)
        for address, each in list(self._receivers.items()):
            if newest - each.heard_at > GONE_SECONDS:
                del self._receivers[address]
            elif each.is_detailed:
                each.controller.silence(now)
        return min(self._receivers.values(), key=lambda each: each.controller.target, default=None)

    def is_paused(self, now: float) -> bool:
        """Whether frames should wait for the network's queue to drain."""
        return now < self._paused_until
