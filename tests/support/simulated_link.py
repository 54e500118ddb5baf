"""A link with a rate, a queue, a delay and loss, on a virtual clock, with senders that follow a RateController."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from edgecam_core.rtp.rate_control import Acknowledged, RateController

PACKET = 1200
FEEDBACK_SECONDS = 0.05
FRAME_SECONDS = 1 / 30


@dataclass
class Flow:
    """One sender: frames of the size its target allows, each paced over the time to the next."""

    controller: RateController
    use: float = 1.0  # share of the target that the encoder uses up
    targets: list[tuple[float, float]] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)  # time sent, time in queue and on the way
    lost: list[float] = field(default_factory=list)
    pending: list[Acknowledged] = field(default_factory=list)

    def rate(self, begin: float, end: float) -> float:
        """The mean target between two times."""
        values = [target for at, target in self.targets if begin <= at < end]
        return sum(values) / len(values)


def run(
    flows: list[Flow],
    seconds: float,
    rate: Callable[[float], float],
    delay: float = 0.03,
    loss: float = 0.01,
    queue_seconds: float = 0.5,
    step: Callable[[float], None] = lambda now: None,
) -> None:
    """Let the flows share one link; ``rate(now)`` in bit/s. The same arguments give the same run."""
    chance = random.Random(5)
    events: list[tuple[float, int, str, int]] = []
    order = 0

    def add(at: float, what: str, which: int) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, what, which))

    for number in range(len(flows)):
        add(0.003 * number, "frame", number)
        add(0.01 + 0.007 * number, "feedback", number)
    free_at = 0.0
    while events[0][0] < seconds:
        now, _, what, number = heapq.heappop(events)
        flow = flows[number]
        if what == "frame":
            step(now)
            count = max(1, round(flow.controller.target * flow.use * FRAME_SECONDS / 8 / PACKET))
            for index in range(count):
                add(now + FRAME_SECONDS * index / count * 0.5, "packet", number)
            add(now + FRAME_SECONDS, "frame", number)
        elif what == "packet":
            free_at = max(free_at, now) + PACKET * 8 / rate(now)
            if free_at - now > queue_seconds + PACKET * 8 / rate(now):
                free_at -= PACKET * 8 / rate(now)
                arrived = None
            else:
                arrived = None if chance.random() < loss else free_at + delay
            flow.pending.append(Acknowledged(now, arrived, PACKET))
            if arrived is None:
                flow.lost.append(now)
            else:
                flow.delays.append((now, arrived - now))
        else:
            ready = [each for each in flow.pending if each.sent_at + delay + queue_seconds < now - delay]
            ready += [each for each in flow.pending if each not in ready and (each.arrived_at or 1e9) <= now - delay]
            flow.pending = [each for each in flow.pending if each not in ready]
            if ready:
                flow.controller.feedback(sorted(ready, key=lambda each: each.sent_at), now, 2 * delay)
            flow.targets.append((now, flow.controller.target))
            add(now + FEEDBACK_SECONDS, "feedback", number)
