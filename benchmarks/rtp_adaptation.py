"""A link whose rate changes: our adaptive sender against a sender with a fixed rate."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from edgecam_core.rtp.relay import Conditions, Relay

from benchmarks.row import Row
from benchmarks.rtp import outcome, pause, receiver, sender
from benchmarks.runs import shared
from tests.support.network import free_udp_port

MBIT = 1_000_000
STEPS = (8.0, 1.5, 0.7, 8.0)  # Mbit/s
STEP_SECONDS, SETTLING_SECONDS = 10.0, 2.0
SIZE, RATE = (640, 480), 30
INTACT_DB = 20.0  # at 0.7 Mbit/s an intact frame of this scene has at least 24 dB, a damaged one less than 20
OURS: tuple[dict[str, Any], dict[str, Any]] = ({"bitrate": 8 * MBIT, "bitrate_min": 300_000}, {"latency": 400})
BARE: tuple[dict[str, Any], dict[str, Any]] = ({"bitrate": 8 * MBIT}, {"latency": 200})
REFERENCE = "bare GStreamer pair at 8 Mbit/s (same x265enc settings, rtpjitterbuffer latency=200)"
LINK = "8, 1.5, 0.7, 8 Mbit/s for 10 s each, 30 ms, 1 % loss, a queue of 300 ms"


class IntactFrame(NamedTuple):
    """One intact frame: seconds since the start when it was sent and when it arrived."""

    sent: float
    arrived: float


def rows() -> list[Row]:
    intact = f"share of the camera's frames that arrive intact in the worst step after 2 s; {LINK}"
    age = f"frame in to frame out, p95 of all steps after 2 s; {LINK}"
    back = "seconds from the link's return to 8 Mbit/s until 90 % of the first step's rate is sent"
    share = "larger share of two edgecam streams on one link of 4 Mbit/s, relative to one half"
    slow = "Link that slows down"
    return [
        Row("rtp_adaptation_good", intact, "%", REFERENCE, partial(good, "ours"), partial(good, "bare"), "higher",
            label=f"{slow}: good frames", most_rounds=1),
        Row("rtp_adaptation_latency", age, "ms", REFERENCE, partial(latency, "ours"), partial(latency, "bare"),
            label=f"{slow}: latency (95th percentile)", most_rounds=1),
        Row("rtp_adaptation_recovery", back, "s", "10 s", recovery, lambda: 10.0, aim=1.0,
            label="Link that recovers: full rate", most_rounds=1),
        Row("rtp_adaptation_fairness", share, "ratio", "equal shares", fairness, lambda: 1.0, aim=1.3,
            label="Two streams on one link: the larger share", most_rounds=1),
    ]  # fmt: skip


@shared
def stepped(kind: str) -> tuple[list[IntactFrame], list[float], list[int]]:
    """The intact frames, the time at which each frame was given to the sender, and the bytes sent in each second."""
    ends = OURS if kind == "ours" else BARE
    count = int(len(STEPS) * STEP_SECONDS * RATE)
    port = free_udp_port()
    with ExitStack() as stack:
        receiving = receiver(stack, kind, port, True, ends[1])
        relay = stack.enter_context(Relay(("127.0.0.1", port), conditions=_link(STEPS[0])))
        sending = sender(stack, kind, relay.port, SIZE, count, ends[0])
        begin, octets = time.monotonic_ns(), [0]
        for second in range(int(len(STEPS) * STEP_SECONDS)):
            relay.conditions = _link(STEPS[int(second // STEP_SECONDS)])
            pause(max(0.0, second + 1 - (time.monotonic_ns() - begin) / 1e9))
            octets.append(relay.octets)
        sent, received = outcome(sending, receiving)
    times = [(at - begin) / 1e9 for at in sent["sent"]]
    intact_frames = [
        IntactFrame(times[number], (arrival - begin) / 1e9)
        for number, arrival, _, quality in received["seen"]
        if number < count and quality >= INTACT_DB
    ]
    return intact_frames, times, [int(each) for each in np.diff(octets)]


def _link(rate: float) -> Conditions:
    return Conditions(loss=0.01, return_loss=0.01, delay=0.03, rate=rate * MBIT)


def _is_settled(at: float) -> bool:
    return at % STEP_SECONDS >= SETTLING_SECONDS


def good(kind: str) -> float:
    """Percentage of intact frames in the worst step. A frame that the sender withholds counts as lost."""
    intact_frames, given, _ = stepped(kind)
    return min(_share(intact_frames, given, step) for step in range(len(STEPS)))


def _share(intact_frames: list[IntactFrame], given: list[float], step: int) -> float:
    sent = [at for at in given if int(at // STEP_SECONDS) == step and _is_settled(at)]
    whole = {each.sent for each in intact_frames if int(each.sent // STEP_SECONDS) == step and _is_settled(each.sent)}
    return 100 * len(whole) / max(len(sent), 1)


def latency(kind: str) -> float:
    intact_frames, _, _ = stepped(kind)
    ages = [1000 * (each.arrived - each.sent) for each in intact_frames if _is_settled(each.sent)]
    return float(np.quantile(ages, 0.95)) if ages else float("nan")


def recovery() -> float:
    _, _, octets = stepped("ours")
    full = float(np.mean(octets[int(SETTLING_SECONDS) : int(STEP_SECONDS)]))
    last = octets[int(-STEP_SECONDS) :]
    return next((float(second + 1) for second, each in enumerate(last) if each >= 0.9 * full), float("nan"))


def fairness() -> float:
    """Twice the larger stream's share of the bytes; each stream has its own relay, and the relays share one link."""
    count = int(30 * RATE)
    ports = [free_udp_port(), free_udp_port()]
    with ExitStack() as stack:
        relays = [Relay(("127.0.0.1", port), conditions=Conditions(delay=0.03, rate=4 * MBIT)) for port in ports]
        relays[1].share_link(relays[0])
        for relay in relays:
            stack.enter_context(relay)
        receiving = [receiver(stack, "ours", port, False, OURS[1]) for port in ports]
        sending = [sender(stack, "ours", relay.port, SIZE, count, OURS[0]) for relay in relays]
        pause(10.0)
        before = [relay.octets for relay in relays]
        pause(18.0)
        spent = [relay.octets - earlier for relay, earlier in zip(relays, before, strict=True)]
        for one, other in zip(sending, receiving, strict=True):
            outcome(one, other)
    return 2 * max(spent) / sum(spent)
