"""Capture time across the link."""

from __future__ import annotations

import itertools
import random

import pytest
from edgecam_core.rtp import clock
from edgecam_core.rtp.clock import SECOND, RtpTimeline

NOW = 1_764_000_000_123_456_789


def test_the_ntp_epoch() -> None:
    assert clock.ntp_from_ns(0) == 2_208_988_800 << 32
    assert clock.ntp_from_ns(SECOND // 2) & 0xFFFFFFFF == 1 << 31


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, NOW, 2_085_978_495_999_999_999, 2_085_978_496_000_000_001])
def test_stamps_survive_to_the_nanosecond(stamp: int) -> None:
    assert clock.stamp_from_extension(clock.ntp_extension(stamp)) == stamp


def test_random_stamps_survive_to_the_nanosecond() -> None:
    chance = random.Random(1)
    for _ in range(20_000):
        stamp = chance.randrange(3 * 10**18)
        assert clock.ns_from_ntp(clock.ntp_from_ns(stamp)) == stamp


def test_an_extension_of_another_length_is_not_a_stamp() -> None:
    assert clock.stamp_from_extension(b"") is None
    assert clock.stamp_from_extension(b"1234567") is None


def test_rtp_time_is_the_stamp_in_90_khz() -> None:
    timeline = RtpTimeline()
    for index in range(5):
        stamp = NOW + index * 33_333_333
        assert timeline.timestamp(stamp) == stamp * 9 // 100_000 % (1 << 32)


def test_rtp_time_always_increases() -> None:
    timeline = RtpTimeline()
    stamps = [NOW, NOW, NOW - 5_000_000, NOW + 33_000_000, 12 * SECOND, 12 * SECOND + 33_333_333, NOW + 3600 * SECOND]
    times = [timeline.timestamp(stamp) for stamp in stamps]
    steps = [clock.signed_difference(later, earlier) for earlier, later in itertools.pairwise(times)]
    assert all(0 < step < 90_000 for step in steps)
    assert steps[4] == pytest.approx(3000, abs=1)  # after the jump back, RTP time continues at the pace of the stamps
