"""Adaptive senders that share one link, on a virtual clock: same seed, same run. No sockets and no encoder.

The congestion control is the real one (:class:`Adaptation`, :class:`PacketArrivals`). The encoder is a model: keyframes
as large as its buffer allows, frames of varying size, the bitrate in steps as :func:`should_change` allows; an
encoder that is not ``live`` restarts with a keyframe for each.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.adaptation import Adaptation
from edgecam_core.rtp.arrivals import PacketArrivals
from edgecam_core.rtp.rate_control import should_change
from edgecam_core.rtp.sender import ADAPTIVE_BUFFER_MS, ENCODED_SHARE, MAX_WAITING, PACE, PACE_FREE

PACKET = 1228  # bytes, UDP and IP headers included
FEEDBACK_SECONDS, FRAME_SECONDS = 0.05, 1 / 30
KEYFRAME_EVERY, KEYFRAME_SIZE = 30, 6.0  # frames; frames of mean size
VARIATION = 0.25  # of the size of a frame
ADDRESS = ("192.0.2.7", 4000)


@dataclass
class _Unit:
    """A coded frame in transit: its packets that have not arrived."""

    at: float
    left: int


@dataclass
class Flow:
    """One sender and its receiver. Rates are bit/s; times are seconds of the virtual clock."""

    most: float = 8e6
    least: float = 0.3e6
    begin: float = 0.0
    use: float = 1.0  # share of its bitrate that the encoder uses
    live: bool = True  # whether the encoder changes its bitrate in place
    targets: list[tuple[float, float]] = field(default_factory=list)
    octets: list[tuple[float, int]] = field(default_factory=list)  # time sent, bytes
    ages: list[tuple[float, float]] = field(default_factory=list)  # time of the frame, age when complete
    delays: list[tuple[float, float]] = field(default_factory=list)  # time sent, time on the way
    given: list[float] = field(default_factory=list)  # times of all frames, withheld ones included
    lost: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.adaptation = Adaptation(self.least, self.most)
        self.arrivals = PacketArrivals()
        self.bitrate, self.changed_at = self.most, 0.0
        self.sequence = self.number = 0
        self.surplus = 0.0  # bits that the encoder owes after a keyframe
        self.paced_at = 0.0
        self.leaving: list[float] = []  # when each frame in the pacer leaves it

    def rate(self, begin: float, end: float) -> float:
        """The mean rate sent between two times."""
        return sum(size for at, size in self.octets if begin <= at < end) * 8 / (end - begin)

    def target(self, begin: float, end: float) -> float:
        """The mean target between two times."""
        values = [target for at, target in self.targets if begin <= at < end]
        return sum(values) / len(values)

    def age(self, begin: float, end: float, share: float) -> float:
        """The quantile ``share`` of the ages of the frames between two times."""
        ages = sorted(age for at, age in self.ages if begin <= at < end)
        return ages[int(len(ages) * share)]

    def frame_size(self, chance: random.Random) -> int:
        """Bytes of the next frame: keyframes are large, and the frames after them smaller."""
        mean = self.bitrate * self.use * FRAME_SECONDS
        if self.number % KEYFRAME_EVERY == 0:
            bits = min(KEYFRAME_SIZE * mean, self.bitrate * ADAPTIVE_BUFFER_MS / 1000)
        else:
            bits = mean * chance.uniform(1 - VARIATION, 1 + VARIATION) - self.surplus / 12
        bits = max(bits, 0.2 * mean)
        self.surplus += bits - mean
        self.number += 1
        return int(bits / 8)


def run(
    flows: list[Flow],
    seconds: float,
    rate: Callable[[float], float],
    delay: float = 0.03,
    loss: float = 0.01,
    queue_seconds: float = 0.3,
    seed: int = 5,
    jitter: float = 0.0,
) -> None:
    """Let the flows share one link of ``rate(now)`` bit/s. ``jitter``: largest random delay of a packet."""
    chance = random.Random(seed)
    events: list[tuple[float, int, Callable[[float], None]]] = []
    order, free_at = 0, 0.0

    def add(at: float, what: Callable[[float], None]) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, what))

    def frame(flow: Flow, now: float) -> None:
        add(now + FRAME_SECONDS, partial(frame, flow))
        flow.given.append(now)
        target = flow.adaptation.target(now)
        bitrate = target * ENCODED_SHARE
        if should_change(flow.bitrate, bitrate, now - flow.changed_at, flow.live or flow.number % KEYFRAME_EVERY == 0):
            flow.bitrate, flow.changed_at = bitrate, now
            flow.number *= flow.live
        flow.leaving = [at for at in flow.leaving if at > now]
        if flow.adaptation.is_paused(now) or len(flow.leaving) >= MAX_WAITING:
            return
        size = flow.frame_size(chance)
        unit = _Unit(now, -(-size // PACKET))
        pace = target * (PACE_FREE if target >= flow.most else PACE)
        for _ in range(unit.left):
            octets = min(size, PACKET)
            size -= octets
            flow.paced_at = max(flow.paced_at, now) + octets * 8 / pace
            sequence = flow.sequence
            flow.sequence = (flow.sequence + 1) & 0xFFFF
            add(flow.paced_at, partial(packet, flow, unit, sequence, octets))
        flow.leaving.append(flow.paced_at)

    def packet(flow: Flow, unit: _Unit, sequence: int, octets: int, now: float, repeated: bool = False) -> None:
        nonlocal free_at
        if not repeated:
            flow.adaptation.sent(sequence, octets, now)
        flow.octets.append((now, octets))
        wait = max(free_at - now, 0.0)
        if wait > queue_seconds or chance.random() < loss:
            flow.lost.append(now)
            add(now + wait + 2 * delay + 0.02, partial(resend, flow, unit, sequence, octets))
            return
        free_at = now + wait + octets * 8 / rate(now)
        arrival = free_at + delay + chance.random() * jitter
        if not repeated:
            flow.delays.append((now, arrival - now))
        add(arrival, partial(arrive, flow, unit, sequence))

    def resend(flow: Flow, unit: _Unit, sequence: int, octets: int, now: float) -> None:
        if now - unit.at > 0.4:
            return
        if flow.adaptation.may_retransmit(sequence, octets, now):
            packet(flow, unit, sequence, octets, now, repeated=True)
        else:
            add(now + 0.05, partial(resend, flow, unit, sequence, octets))

    def arrive(flow: Flow, unit: _Unit, sequence: int, now: float) -> None:
        flow.arrivals.note(sequence, int(now * 1e9))
        unit.left -= 1
        if not unit.left:
            flow.ages.append((unit.at, now - unit.at))

    def report(flow: Flow, now: float) -> None:
        add(now + FEEDBACK_SECONDS, partial(report, flow))
        if arrivals := flow.arrivals.report(int(now * 1e9)):
            first, ages = arrivals
            numbered = tuple(((first + place) & 0xFFFF, age) for place, age in enumerate(ages))
            message = rtcp.CongestionFeedback(1, now, numbered)
            add(now + delay, partial(flow.adaptation.feedback, message, ADDRESS))
        flow.targets.append((now, flow.adaptation.target(now)))

    for place, flow in enumerate(flows):
        flow.number = chance.randrange(KEYFRAME_EVERY)
        add(flow.begin + 0.003 * place, partial(frame, flow))
        add(flow.begin + chance.random() * FEEDBACK_SECONDS, partial(report, flow))
    while events[0][0] < seconds:
        now, _, what = heapq.heappop(events)
        what(now)
