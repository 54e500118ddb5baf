"""The RTP link against the bare GStreamer pair with the same encoder settings, each end in its own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from edgecam_core.rtp.relay import Conditions, Relay

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import environment, peer, process
from tests.support.network import free_udp_port

COUNT = 150
LOSSY_COUNT = 300
GOOD_DB = 28.0  # a correct frame of this scene has at least 33 dB, a grey frame from the decoder less than 20
SIZES = {"640x480": (640, 480), "1280x720": (1280, 720)}
HD = (1920, 1080)
BARE = "bare GStreamer pair (same x265enc settings, rtpjitterbuffer latency=60, videoconvert)"
Ends = tuple[dict[str, Any], dict[str, Any]]  # settings of the sender and of the receiver
GOOD_SHARE = "share of the sent frames that arrive intact"
RETRANSMISSION: Ends = ({}, {})
FAULTS = {
    "outage": "an outage of three seconds",
    "restart": "the sender was killed and started again",
    "late": "the receiver started late",
}
ONE_WAY: Ends = ({"redundancy": 50}, {"redundancy": True, "feedback": False, "latency": 100})


def rows() -> list[Row]:
    made = []
    for name, size in SIZES.items():
        what = f"{name} at 30 Hz, bgr8 in to bgr8 out, p50 (aim: 5 ms more at most)"
        made.append(Row(f"rtp_latency_{name}", what, "ms", BARE, partial(latency, "ours", size),
                        partial(latency, "bare", size), label=f"RTP link, {name}: frame in to frame out"))  # fmt: skip
        what = f"CPU time of sender and receiver per frame received, {name} at 30 Hz"
        made.append(Row(f"rtp_cpu_{name}", what, "ms", BARE, partial(cpu, "ours", size), partial(cpu, "bare", size),
                        aim=1.3, label=f"RTP link, {name}: CPU time per frame, both ends"))  # fmt: skip
    made.append(Row("rtp_share_1920x1080", "share of 1920x1080 frames that arrive at 30 Hz and 6 Mbit/s", "%", BARE,
                    partial(share, "ours", HD), partial(share, "bare", HD), "higher",
                    label="RTP link, 1920x1080 at 30 Hz: frames that arrive"))  # fmt: skip
    whole = partial(good, "ours", Conditions(), RETRANSMISSION), partial(good, "bare", Conditions(), RETRANSMISSION)
    made.append(
        Row(
            "rtp_good_no_loss",
            f"{GOOD_SHARE}, no loss",
            "%",
            BARE,
            *whole,
            "higher",
            label="Good frames over RTP, no loss",
            most_rounds=1,
        )
    )
    jittery = Conditions(jitter=0.02)
    made.append(Row("rtp_good_jitter", f"{GOOD_SHARE}, 20 ms jitter (packets are reordered)", "%", BARE,
                    partial(good, "ours", jittery, RETRANSMISSION), partial(good, "bare", jittery, RETRANSMISSION),
                    "higher", label="Good frames over RTP, 20 ms jitter", most_rounds=1))  # fmt: skip
    for loss, burst, label in ((0.001, 1, "0.1"), (0.01, 1, "1"), (0.05, 1, "5"), (0.05, 5, "5_bursts")):
        what = f"{GOOD_SHARE}, {100 * loss:g} % of the packets lost{' in bursts of 5' if burst > 1 else ''}, "
        lost = f"Good frames over RTP, {100 * loss:g} % loss{' in bursts' if burst > 1 else ''}"
        conditions = Conditions(loss=loss, burst=burst, return_loss=loss)
        bare = partial(good, "bare", conditions, RETRANSMISSION)
        made.append(Row(f"rtp_good_loss_{label}_retransmission", what + "retransmission (feedback is lost too)", "%",
                        BARE, partial(good, "ours", conditions, RETRANSMISSION), bare,
                        "higher", label=f"{lost}, retransmission", most_rounds=2))  # fmt: skip
        made.append(Row(f"rtp_good_loss_{label}_one_way", what + "50 % parity, no return path", "%", BARE,
                        partial(good, "ours", conditions, ONE_WAY), bare,
                        "higher", label=f"{lost}, one way with parity", most_rounds=2))  # fmt: skip
    made.append(Row("rtp_bitrate_loss_5", "bytes sent per frame at 5 % loss with retransmission", "bytes",
                    "the same without loss", partial(octets, 0.05), partial(octets, 0.0), aim=1.5,
                    label="RTP link: bytes sent at 5 % loss", most_rounds=2))  # fmt: skip
    lossy = Conditions(loss=0.01, return_loss=0.01)
    made.append(Row("rtp_latency_loss_1", "640x480 at 30 Hz, bgr8 in to bgr8 out, p99 at 1 % loss", "ms",
                    BARE, partial(latency, "ours", SIZES["640x480"], lossy, 0.99),
                    partial(latency, "bare", SIZES["640x480"], lossy, 0.99),
                    label="RTP link, 1 % loss: frame in to frame out (99th percentile)"))  # fmt: skip
    made.append(Row("rtp_stamp_error", "largest error of the received capture time", "ms", "arrival time as the stamp",
                    partial(stamp_error, "ours"), partial(stamp_error, "bare"),
                    label="RTP link: largest error of the capture time"))  # fmt: skip
    for fault, text in FAULTS.items():
        made.append(Row(f"rtp_recovery_{fault}", f"first good frame after {text}", "ms", BARE,
                        partial(recovery, "ours", fault), partial(recovery, "bare", fault),
                        label=f"RTP link: first good frame after {text}", most_rounds=2))  # fmt: skip
    return made


def receiver(stack: ExitStack, kind: str, port: int, with_psnr: bool, values: dict[str, Any]) -> subprocess.Popen[str]:
    """Start the receiving process; returns when it is listening."""
    return _ready(stack, peer("rtp_receive", kind, port, int(with_psnr), *_arguments(values)))


def sender(
    stack: ExitStack, kind: str, port: int, size: tuple[int, int], count: int, values: dict[str, Any]
) -> subprocess.Popen[str]:
    """Start the sending process; returns when it begins to send."""
    return _ready(stack, peer("rtp_send", kind, port, *size, count, *_arguments(values)))


def _arguments(values: dict[str, Any]) -> list[str]:
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def _ready(stack: ExitStack, command: list[str]) -> subprocess.Popen[str]:
    started = stack.enter_context(process(command, environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    assert started.stdout is not None
    started.stdout.readline()
    return started


def outcome(sending: subprocess.Popen[str], receiving: subprocess.Popen[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The measurements of both ends; blocks until all frames are sent."""
    assert sending.stdout is not None
    sent = json.loads(sending.stdout.readline())
    return sent, json.loads(receiving.communicate()[0].splitlines()[-1])


@shared
def transfer(
    kind: str,
    size: tuple[int, int],
    count: int = COUNT,
    with_psnr: bool = False,
    conditions: Conditions | None = None,
    settings: Ends = RETRANSMISSION,
) -> dict[str, Any]:
    """One stream from one process to another; ``conditions`` puts a relay between them."""
    port = free_udp_port()
    with ExitStack() as stack:
        receiving = receiver(stack, kind, port, with_psnr, settings[1])
        relay = None
        if conditions is not None:
            relay = stack.enter_context(Relay(("127.0.0.1", port), conditions=conditions))
        sending = sender(stack, kind, relay.port if relay is not None else port, size, count, settings[0])
        found, received = outcome(sending, receiving)
        octets = relay.octets if relay is not None else 0
    return {**found, "octets": octets, "seen": received["seen"], "cpu_s": found["cpu_s"] + received["cpu_s"]}


def latency(kind: str, size: tuple[int, int], conditions: Conditions | None = None, quantile: float = 0.5) -> float:
    found = transfer(kind, size, conditions=conditions)
    ages = [(arrival - found["sent"][number]) / 1e6 for number, arrival, _, _ in found["seen"] if number < COUNT]
    return float(np.quantile(ages, quantile))


def cpu(kind: str, size: tuple[int, int]) -> float:
    found = transfer(kind, size)
    return float(1000 * found["cpu_s"] / len({number for number, *_ in found["seen"]}))


def share(kind: str, size: tuple[int, int]) -> float:
    """The percentage of the frames given to the sender that arrive."""
    found = transfer(kind, size)
    return 100 * len({number for number, *_ in found["seen"] if number < COUNT}) / COUNT


def good(kind: str, conditions: Conditions, settings: Ends) -> float:
    """The percentage of the sent access units whose frames arrive intact."""
    chosen = settings if kind == "ours" else ({}, {})
    found = transfer(kind, SIZES["640x480"], LOSSY_COUNT, True, conditions, chosen)
    right = {number for number, _, _, quality in found["seen"] if quality >= GOOD_DB and number < LOSSY_COUNT}
    return 100 * len(right) / found["coded"]


def octets(loss: float) -> float:
    conditions = Conditions(loss=loss, return_loss=loss)
    found = transfer("ours", SIZES["640x480"], conditions=conditions)
    return float(found["octets"] / found["coded"])


def stamp_error(kind: str) -> float:
    found = transfer(kind, SIZES["640x480"])
    errors = [abs(stamp - found["sent"][number]) / 1e6 for number, _, stamp, _ in found["seen"] if number < COUNT]
    return max(errors)


def recovery(kind: str, fault: str) -> float:
    """Milliseconds from the end of a fault to the first good frame; nan: none arrived."""
    port, size, count = free_udp_port(), SIZES["640x480"], 240
    with ExitStack() as stack:
        if fault == "late":
            sending = sender(stack, kind, port, size, count, {})
            pause(1.0)
            receiving = receiver(stack, kind, port, True, {})
        else:
            receiving = receiver(stack, kind, port, True, {})
            relay = stack.enter_context(Relay(("127.0.0.1", port)))
            sending = sender(stack, kind, relay.port, size, count, {})
            pause(1.5)
            if fault == "outage":
                relay.conditions.down = True
                pause(3.0)
                relay.conditions.down = False
            else:
                os.killpg(sending.pid, signal.SIGKILL)
                sending = sender(stack, kind, relay.port, size, count, {})
        over = time.monotonic_ns()
        seen = outcome(sending, receiving)[1]["seen"]
    after = [arrival for _, arrival, _, quality in seen if arrival > over and quality >= GOOD_DB]
    return (min(after) - over) / 1e6 if after else float("nan")


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)
