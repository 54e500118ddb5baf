"""The sender's side of a link that adapts: what was sent, what each receiver reports of it, and the resulting rate."""

from __future__ import annotations

import threading
from collections import OrderedDict

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.rate_control import Acknowledged, RateController
from edgecam_core.rtp.sockets import Address

MOST_RECEIVERS = 16
MOST_SENT = 8192
GONE_SECONDS = 5.0  # without feedback, while other receivers send some
REORDERED = 3  # packets; a missing one further behind the newest counts as lost
LONG_QUEUE, EMPTY_ENOUGH = 0.25, 0.15  # seconds in the network's queue: pause until this much is left
_WRAP = 65_536.0


class _Sent:
    """One packet on its way. ``again``: it was retransmitted, so its arrival says nothing about the delay."""

    __slots__ = ("again", "at", "size")

    def __init__(self, at: float, size: int) -> None:
        self.at, self.size, self.again = at, size, False


class _Receiver:
    def __init__(self, least: float, most: float) -> None:
        self.controller = RateController(least, most)
        self.heard_at = 0.0
        self.is_detailed = False  # by RFC 8888
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
    """The rate for one stream; with several receivers that of the one with the worst link. Safe to use from threads.

    Times are monotonic seconds, rates bit/s.
    """

    def __init__(self, least: float, most: float) -> None:
        self._lock = threading.Lock()
        self._least, self._most = least, most
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._receivers: OrderedDict[Address, _Receiver] = OrderedDict()
        self._paused_until = 0.0

    def limit(self, least: float, most: float) -> None:
        with self._lock:
            self._least, self._most = least, most
            for receiver in self._receivers.values():
                receiver.controller.limit(least, most)

    def sent(self, sequence: int, size: int, now: float) -> None:
        with self._lock:
            self._sent.pop(sequence, None)
            self._sent[sequence] = _Sent(now, size)
            while len(self._sent) > MOST_SENT:
                self._sent.popitem(last=False)

    def sent_again(self, sequence: int) -> None:
        with self._lock:
            if sequence in self._sent:
                self._sent[sequence].again = True

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
            controller.feedback(packets, now, round_trip)
            if controller.queuing_delay > LONG_QUEUE and now > self._paused_until + round_trip:
                self._paused_until = now + controller.queuing_delay - EMPTY_ENOUGH

    def _settle(
        self, receiver: _Receiver, message: rtcp.CongestionFeedback, reported_at: float, now: float
    ) -> tuple[list[Acknowledged], float]:
        """What is new about packets, and the round trip time of the newest that arrived."""
        packets, round_trip = [], 0.1
        for place, (sequence, age) in enumerate(message.arrivals):
            sent = self._sent.get(sequence)
            is_settled = age is not None or len(message.arrivals) - place > REORDERED
            if sent is None or not is_settled or sequence in receiver.settled:
                continue
            receiver.settled[sequence] = None
            if sent.again:  # lost on its first way
                age = None
            if age is not None:
                round_trip = max(now - sent.at - age, 0.0)
            packets.append(Acknowledged(sent.at, None if age is None else reported_at - age, sent.size))
        while len(receiver.settled) > MOST_SENT:
            receiver.settled.popitem(last=False)
        return packets, round_trip

    def report(self, block: rtcp.ReportBlock, sender: Address, now: float) -> None:
        """A receiver reported its loss; that counts where it reports nothing better."""
        with self._lock:
            receiver = self._receiver(sender, now)
            if not receiver.is_detailed:
                receiver.controller.report(block.loss)

    def _receiver(self, address: Address, now: float) -> _Receiver:
        receiver = self._receivers.pop(address, None) or _Receiver(self._least, self._most)
        receiver.heard_at = now
        self._receivers[address] = receiver
        while len(self._receivers) > MOST_RECEIVERS:
            self._receivers.popitem(last=False)
        return receiver

    def target(self, now: float) -> float:
        """The rate to send with now."""
        with self._lock:
            worst = self._worst(now)
            return self._most if worst is None else worst.target

    def estimate(self, now: float) -> tuple[float, float]:
        """The rate that arrives and the queuing delay in seconds, at the receiver with the worst link; nan: unknown."""
        with self._lock:
            worst = self._worst(now)
            return (float("nan"), float("nan")) if worst is None else (worst.estimate, worst.queuing_delay)

    def _worst(self, now: float) -> RateController | None:
        newest = max((each.heard_at for each in self._receivers.values()), default=0.0)
        for address, each in list(self._receivers.items()):
            if newest - each.heard_at > GONE_SECONDS:
                del self._receivers[address]
            elif each.is_detailed:
                each.controller.silence(now)
        return min((each.controller for each in self._receivers.values()), key=lambda each: each.target, default=None)

    def is_paused(self, now: float) -> bool:
        """Whether frames should wait for the network's queue to drain."""
        return now < self._paused_until
