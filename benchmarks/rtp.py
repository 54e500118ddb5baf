"""The RTP bridge beside the bare GStreamer pair with the same encoder settings, each end a process of its own."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from edgecam_core.rtp.relay import Conditions, Relay

from benchmarks.harness import Row
from benchmarks.support import environment, peer, process

COUNT = 150
LOSSY_COUNT = 300
GOOD_DB = 28.0  # a right picture of this scene has 33 dB and more, a grey invented one less than 20
SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}
BARE = "bare GStreamer pair (x265enc as ours, rtpjitterbuffer latency=60, videoconvert)"
Ends = tuple[dict[str, Any], dict[str, Any]]  # settings of the sender and of the receiver
GOOD_SHARE = "share of the coded pictures that arrive good"
ANSWERED: Ends = ({}, {})
ONE_WAY: Ends = ({"redundancy": 50}, {"redundancy": True, "feedback": False, "latency": 100})


def rows() -> list[Row]:
    made = []
    for name, size in SIZES.items():
        told = f"{name} at 30 Hz, bgr8 handed over to bgr8 received, p50 (aim: 5 ms more at most)"
        made.append(Row(f"rtp_latency_{name}", told, "ms", BARE, partial(latency, "ours", size),
                        partial(latency, "bare", size)))  # fmt: skip
        told = f"processor time of sender and receiver per picture received, {name} at 30 Hz"
        made.append(Row(f"rtp_cpu_{name}", told, "ms", BARE, partial(cpu, "ours", size), partial(cpu, "bare", size),
                        aim=1.3))  # fmt: skip
    whole = partial(good, "ours", Conditions(), ANSWERED), partial(good, "bare", Conditions(), ANSWERED)
    made.append(Row("rtp_good_no_loss", f"{GOOD_SHARE}, no loss", "%", BARE, *whole, "higher"))
    for loss, burst, label in ((0.01, 1, "1"), (0.05, 1, "5"), (0.05, 5, "5_bursts")):
        told = f"{GOOD_SHARE}, {loss:.0%} of the packets lost{' in bursts of 5' if burst > 1 else ''}, "
        ways = Conditions(loss=loss, burst=burst, back_loss=loss)
        made.append(Row(f"rtp_good_loss_{label}_answered", told + "retransmission (also the answers are lost)", "%",
                        BARE, partial(good, "ours", ways, ANSWERED), partial(good, "bare", ways, ANSWERED),
                        "higher"))  # fmt: skip
        made.append(Row(f"rtp_good_loss_{label}_one_way", told + "50 % parity, no way back", "%", BARE,
                        partial(good, "ours", ways, ONE_WAY), partial(good, "bare", ways, ANSWERED),
                        "higher"))  # fmt: skip
    made.append(Row("rtp_bitrate_loss_5", "bytes sent per picture at 5 % loss with retransmission", "bytes",
                    "the same without loss", partial(octets, 0.05), partial(octets, 0.0), aim=1.5))  # fmt: skip
    made.append(Row("rtp_stamp_error", "largest error of the received capture time", "ms", "arrival time as the stamp",
                    partial(stamp_error, "ours"), partial(stamp_error, "bare")))  # fmt: skip
    made.append(Row("rtp_recovery_outage", "first good picture after an outage of one second", "ms", BARE,
                    partial(recovery, "ours"), partial(recovery, "bare")))  # fmt: skip
    return made


def free_port() -> int:
    """A UDP port with two free neighbours."""
    while True:
        with ExitStack() as stack:
            made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
            made[0].bind(("", 0))
            port = int(made[0].getsockname()[1])
            try:
                for offset, each in enumerate(made[1:], 1):
                    each.bind(("", port + offset))
            except (OSError, OverflowError):
                continue
            return port


def transfer(
    kind: str,
    size: tuple[int, int],
    count: int = COUNT,
    judge: bool = False,
    conditions: Conditions | None = None,
    settings: Ends = ANSWERED,
    outage: bool = False,
) -> dict[str, Any]:
    """One stream from one process to another, through a relay where there are conditions."""
    port, env = free_port(), environment()
    sender, receiver = ([f"{name}={json.dumps(value)}" for name, value in each.items()] for each in settings)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as stack:
        receiving = stack.enter_context(process(peer("rtp_receive", kind, port, int(judge), *receiver), env, **pipes))
        assert receiving.stdout is not None
        receiving.stdout.readline()
        relay = None
        if conditions is not None:
            relay = stack.enter_context(Relay(("127.0.0.1", port), conditions=conditions))
        target = relay.port if relay is not None else port
        sending = stack.enter_context(process(peer("rtp_send", kind, target, *size, count, *sender), env, **pipes))
        assert sending.stdout is not None
        sending.stdout.readline()
        down = _outage(relay) if outage and relay is not None else 0
        found: dict[str, Any] = json.loads(sending.stdout.readline())
        found["octets"] = relay.octets if relay is not None else 0
        found["up"] = down
        received = json.loads(receiving.communicate()[0].splitlines()[-1])
    return {**found, "seen": received["seen"], "cpu_s": found["cpu_s"] + received["cpu_s"]}


def _outage(relay: Relay) -> int:
    """Cut the link for a second, two seconds from now; when it was up again."""
    threading.Event().wait(2.0)
    relay.conditions.down = True
    threading.Event().wait(1.0)
    relay.conditions.down = False
    return time.monotonic_ns()


def latency(kind: str, size: tuple[int, int]) -> float:
    found = transfer(kind, size)
    ages = [(arrival - found["sent"][number]) / 1e6 for number, arrival, _, _ in found["seen"] if number < COUNT]
    return statistics.median(ages)


def cpu(kind: str, size: tuple[int, int]) -> float:
    found = transfer(kind, size)
    return float(1000 * found["cpu_s"] / len({number for number, *_ in found["seen"]}))


def good(kind: str, conditions: Conditions, settings: Ends) -> float:
    """The share of the coded pictures that arrived and look as they should, in percent."""
    chosen = settings if kind == "ours" else ({}, {})
    found = transfer(kind, SIZES["640x480"], LOSSY_COUNT, True, conditions, chosen)
    right = {number for number, _, _, quality in found["seen"] if quality >= GOOD_DB and number < LOSSY_COUNT}
    return 100 * len(right) / found["coded"]


def octets(loss: float) -> float:
    conditions = Conditions(loss=loss, back_loss=loss)
    found = transfer("ours", SIZES["640x480"], conditions=conditions)
    return float(found["octets"] / found["coded"])


def stamp_error(kind: str) -> float:
    found = transfer(kind, SIZES["640x480"])
    errors = [abs(stamp - found["sent"][number]) / 1e6 for number, _, stamp, _ in found["seen"] if number < COUNT]
    return max(errors)


def recovery(kind: str) -> float:
    found = transfer(kind, SIZES["640x480"], 180, True, Conditions(), outage=True)
    after = [arrival for _, arrival, _, quality in found["seen"] if arrival > found["up"] and quality >= GOOD_DB]
    return (min(after) - found["up"]) / 1e6 if after else float("nan")
