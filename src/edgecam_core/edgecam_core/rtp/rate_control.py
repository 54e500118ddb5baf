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

"""Rate control: NADA (RFC 8698), based on the reports of receivers on each packet (RFC 8888).

Pure: has no clock and no socket. NADA balances queuing delay and loss against the maximum rate: senders that see the
same queue reach the same rate. This implementation differs from the RFC where the link of a camera needs it:

- It ramps up while loss stays below ``RAMP_LOSS``: radio links always lose some packets, which are retransmitted.
- A delay above ``HIGH_DELAY`` lowers the rate at once below the received rate, so that the queue drains.
- Queuing delay is not warped when packets are lost: edgecam yields to senders that fill queues.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

REFERENCE_DELAY = 0.010  # XREF
SCALE, SLOPE, TIME_CONSTANT = 1.0, 2.0, 0.5  # KAPPA, ETA, TAU
LOSS_DELAY, LOSS_REFERENCE = 0.010, 0.02  # DLOSS, PLRREF
LOW_DELAY = 0.020  # QEPS; on a busy machine the scheduler delays packets by several milliseconds
RAMP_LOSS = 0.05
HIGH_DELAY = 0.120  # above the delay where a steady link balances, so that only a link that slowed down reaches it
MAX_RAMP, RAMP_DELAY, FILTER = 0.5, 0.050, 0.120  # GAMMA_MAX, QBOUND, DFILT
CUT = 0.85
PROBE = 1.04  # growth of the rate per feedback message while the encoder uses less than the target
CALM_WINDOW = 0.5  # LOGWIN: the time without queuing before the rate ramps up
RATE_WINDOW = 1.0  # usually contains one keyframe; in a shorter window the rate depends on when keyframes are sent
LOSS_WINDOW, BASE_WINDOW = 1.0, 30.0
LOSS_PACKETS = 100
SILENCE = 1.0
HIGH_LOSS, LOSS_RAMP = 0.10, 1.08


class Acknowledged(NamedTuple):
    """The report on one packet. ``arrived_at`` is in seconds of the receiver's clock; None: the packet was lost.

    The arrival of a ``retransmitted`` packet does not show the delay of the link.
    """

    sent_at: float
    arrived_at: float | None
    size: int
    retransmitted: bool = False


class RateController:
    """The rate for one stream in bit/s, between ``least`` and ``most``; it starts at ``most``.

    ``estimate`` is the received rate in bit/s, ``queuing_delay`` is in seconds, ``loss`` is a share from 0 to 1.
    """

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = least, most
        self.target = most
        self.estimate = 0.0
        self.queuing_delay = 0.0
        self.loss = 0.0
        self._base: deque[tuple[float, float]] = deque()  # time, and smallest one-way delay in that second
        self._arrivals: deque[tuple[float, int]] = deque()
        self._received, self._newest = 0, 0.0  # octets in _arrivals, and the time of the newest
        self._fates: deque[tuple[float, bool]] = deque()
        self._lost = 0  # in _fates
        self._delays: deque[tuple[float, float]] = deque()
        self._signal = 0.0
        self._queued_at = -CALM_WINDOW  # when packets last queued for longer than LOW_DELAY
        self._last: float | None = None

    def limit(self, least: float, most: float) -> None:
        """Change the bounds; the rate is clamped at once."""
        self.least, self.most = least, most
        self.target = min(max(self.target, least), most)

    def feedback(self, packets: list[Acknowledged], now: float, round_trip: float) -> None:
        """A report arrived. Times are monotonic seconds."""
        elapsed = 0.1 if self._last is None else min(max(now - self._last, 0.01), 0.5)
        if not self._measure(packets, now):
            return
        self._last = now
        signal = self.queuing_delay + LOSS_DELAY * min(self.loss / LOSS_REFERENCE, 5.0) ** 2
        if self.queuing_delay >= LOW_DELAY:
            self._queued_at = now
        if self.queuing_delay > HIGH_DELAY:
            rate = min(self.target, CUT * self.estimate)
        elif now - self._queued_at > CALM_WINDOW and self.loss < RAMP_LOSS:
            rate = self._ramped_up(round_trip, elapsed)
        else:
            rate = self._gradual(signal, elapsed)
        self._signal = signal
        self.target = min(max(rate, self.least), self.most)

    def _ramped_up(self, round_trip: float, elapsed: float) -> float:
        step = min(MAX_RAMP, RAMP_DELAY / (round_trip + elapsed + FILTER)) * elapsed / 0.1
        uses_little = self.estimate < 0.7 * self.target
        ramped = min((1 + MAX_RAMP) * self.estimate, self.target * (1 + step))
        return max(self.target * (PROBE if uses_little else 1.0), ramped)

    def _gradual(self, signal: float, elapsed: float) -> float:
        reference = REFERENCE_DELAY * self.most / self.target
        offset, change = signal - reference, signal - self._signal
        share = SCALE * elapsed / TIME_CONSTANT * offset / TIME_CONSTANT + SCALE * SLOPE * change / TIME_CONSTANT
        return self.target * (1 - min(max(share, -0.2), 0.3))

    def report(self, loss: float) -> None:
        """A receiver without RFC 8888 reported this share of packets as lost (RFC 3550)."""
        self.loss = loss
        if loss > HIGH_LOSS:
            self.target *= 1 - loss / 2
        elif loss < LOSS_REFERENCE:
            self.target *= LOSS_RAMP
        self.target = min(max(self.target, self.least), self.most)

    def silence(self, now: float) -> None:
        """Halve the rate for every ``SILENCE`` seconds without a report. Call regularly."""
        if self._last is not None and now - self._last > SILENCE:
            self._last = now
            self.target = max(self.least, self.target / 2)

    def _measure(self, packets: list[Acknowledged], now: float) -> bool:
        for packet in packets:
            is_lost = packet.retransmitted or packet.arrived_at is None
            self._fates.append((now, is_lost))
            self._lost += is_lost
            if packet.arrived_at is not None:
                self._arrivals.append((packet.arrived_at, packet.size))
                self._received += packet.size
                self._newest = max(self._newest, packet.arrived_at)
                if not packet.retransmitted:
                    self._delay(packet.arrived_at - packet.sent_at, now)
        if not self._delays:
            return False
        while self._fates[0][0] < now - LOSS_WINDOW and len(self._fates) > LOSS_PACKETS:
            self._lost -= self._fates.popleft()[1]
        self.loss = self._lost / max(len(self._fates), LOSS_PACKETS // 2)
        while self._delays[0][0] < now - FILTER and len(self._delays) > 1:
            self._delays.popleft()
        self.queuing_delay = min(delay for _, delay in self._delays) - min(base for _, base in self._base)
        while self._arrivals and self._arrivals[0][0] < self._newest - RATE_WINDOW:
            self._received -= self._arrivals.popleft()[1]
        self.estimate = self._received * 8 / RATE_WINDOW
        return True

    def _delay(self, delay: float, now: float) -> None:
        self._delays.append((now, delay))
        if not self._base or now - self._base[-1][0] > 1.0:
            self._base.append((now, delay))
        elif delay < self._base[-1][1]:
            self._base[-1] = (self._base[-1][0], delay)
        while self._base[0][0] < now - BASE_WINDOW:
            self._base.popleft()


def should_change(current: float, target: float, seconds: float, is_free: bool) -> bool:
    """Whether an encoder should change its bitrate from ``current`` to ``target``, ``seconds`` after the last change.

    Encoders that cannot change in place restart with a keyframe, unless one is due anyway (``is_free``; always true for
    other encoders). They follow nearly as closely: with coarse steps the streams on one link do not get equal shares.
    """
    change = target / current - 1
    if is_free:
        return abs(change) > 0.05 and seconds > 0.1
    return abs(change) > 0.07 and seconds > 0.2
