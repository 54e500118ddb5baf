"""Real encoders whose bitrate changes: keyframe size, rate, overshoot, and when a keyframe is due."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.counters import Counters
from edgecam_core.media.encoders import ENCODERS, EncoderRequest
from edgecam_core.media.encoding import EncodedUnit
from edgecam_core.rtp.encoder_supervisor import EncoderSupervisor
from edgecam_core.rtp.overshoot import Overshoot


def test_the_overshoot_of_an_encoder_is_measured() -> None:
    overshoot = Overshoot()
    assert overshoot.factor(0.0) == 1.0
    for number in range(90):
        overshoot.add(round(1.3 * 5_000_000 / 8 / 30), 5_000_000, number / 30)
    assert overshoot.factor(3.0) == pytest.approx(1.3, rel=0.02)
    for number in range(90, 180):  # a scene that needs few bits
        overshoot.add(1000, 5_000_000, number / 30)
    assert overshoot.factor(6.0) == 1.0


def encoded(element: str, request: EncoderRequest, bitrates: dict[int, int], count: int) -> list[EncodedUnit]:
    """``count`` frames of moving blocks at 30 Hz; ``bitrates`` by the number of the frame that they are set before."""
    row = next(row for row in ENCODERS if row.element == element)
    supervisor = EncoderSupervisor(row, request, 30.0, Counters())
    blocks = np.kron(np.random.default_rng(1).integers(40, 200, (60, 80)), np.ones((8, 8))).astype(np.uint8)
    chroma = np.full(640 * 480 // 2, 128, np.uint8)
    units = []
    try:
        for number in range(count):
            if number in bitrates:
                supervisor.set_bitrate(bitrates[number])
            planes = np.concatenate([np.roll(blocks, 3 * number, 1).reshape(-1), chroma])
            supervisor.push(planes, (640, 480), number * 33_333_333)
            while (coded := supervisor.pull(60.0)) is None:  # the replaced encoder has no more frames
                pass
            units.append(coded)
    finally:
        supervisor.stop()
    assert [unit.stamp_ns for unit in units] == [number * 33_333_333 for number in range(count)]
    return units


def bits(units: list[EncodedUnit]) -> int:
    return 8 * sum(len(nal) for unit in units for nal in unit.nals)


@pytest.mark.parametrize("element", ["x264enc", "x265enc"])
def test_keyframes_stay_small_at_a_lower_bitrate(element: str) -> None:
    """One keyframe must not fill the queue of a link that became slower."""
    low = 700_000
    units = encoded(element, EncoderRequest(7_000_000, 30, buffer_ms=120), {40: 1_500_000, 70: low}, 180)
    assert max(bits([unit]) for unit in units[70:] if unit.keyframe) < 0.2 * low  # 0.2 s of the link


@pytest.mark.parametrize("element", ["x264enc", "x265enc"])
def test_the_bitrate_rises_above_its_first_value_and_falls_again(element: str) -> None:
    units = encoded(element, EncoderRequest(200_000, 300, buffer_ms=120), {40: 4_000_000, 80: 200_000}, 120)
    low, high, again = (bits(units[start : start + 40]) for start in (0, 40, 80))
    assert high > 3 * low
    assert again < 0.5 * high


@pytest.mark.parametrize("element", ["x264enc", "x265enc"])
def test_a_new_bitrate_costs_a_keyframe_only_where_the_encoder_restarts(element: str) -> None:
    """``should_change`` and the sender rely on the table."""
    units = encoded(element, EncoderRequest(4_000_000, 300), {20: 2_000_000, 40: 1_000_000}, 60)
    is_live = next(row.live_bitrate for row in ENCODERS if row.element == element) is not None
    assert [number for number, unit in enumerate(units) if unit.keyframe] == ([0] if is_live else [0, 20, 40])


def test_a_due_keyframe_is_known_before_the_next_frame() -> None:
    row = next(row for row in ENCODERS if row.element == "x264enc")
    supervisor = EncoderSupervisor(row, EncoderRequest(1_000_000, 5), 30.0, Counters())
    due, keyframes = [], []
    try:
        for number in range(15):
            due.append(supervisor.is_keyframe_due)
            supervisor.push(np.full(320 * 240 * 3 // 2, 90, np.uint8), (320, 240), number * 33_333_333)
            coded = supervisor.pull(60.0)
            assert coded is not None
            keyframes.append(coded.keyframe)
    finally:
        supervisor.stop()
    assert keyframes == [number % 5 == 0 for number in range(15)]
    assert due == [number > 0 and number % 5 in (4, 0) for number in range(15)]
