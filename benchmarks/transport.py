"""Frames between two processes, best effort at 30 Hz, with and without our Fast DDS profile."""

from __future__ import annotations

import json
import subprocess
from functools import partial

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import environment, peer, process

COUNT = 150
SIZES = {"640x480": (640, 480), "1920x1080": (1920, 1080)}


def rows() -> list[Row]:
    made = []
    for name, size in SIZES.items():
        made.append(
            Row(
                f"transport_share_{name}",
                f"share of {name} bgr8 frames that arrive at 30 Hz with config/fastdds.xml",
                "%",
                "stock Fast DDS settings",
                partial(share, size, True),
                partial(share, size, False),
                "higher",
                label=f"Raw {name} frames that arrive at 30 Hz",
            )
        )
    made.append(
        Row(
            "transport_latency_640x480",
            "age of 640x480 bgr8 frames on arrival (p50) with config/fastdds.xml",
            "ms",
            "stock Fast DDS settings (of those that arrive)",
            partial(age, SIZES["640x480"], True),
            partial(age, SIZES["640x480"], False),
            label="Raw 640x480 frames: age on arrival",
        )
    )
    return made


def share(size: tuple[int, int], profile: bool) -> float:
    return float(100 * transfer(size, profile)["received"] / COUNT)


def age(size: tuple[int, int], profile: bool) -> float:
    return float(transfer(size, profile)["age_ms_p50"])


@shared
def transfer(size: tuple[int, int], profile: bool) -> dict[str, float]:
    env = environment(profile)
    with process(peer("image_counter", COUNT), env, stdout=subprocess.PIPE) as counter:
        assert counter.stdout is not None
        counter.stdout.readline()
        with process(peer("image_publisher", *size, 30, COUNT), env):
            found: dict[str, float] = json.loads(counter.stdout.readline())
            return found
