"""Capture time across the link."""

from __future__ import annotations

import itertools
import random

import pytest
from edgecam_core.rtp import clock
from edgecam_core.rtp.clock import SECOND, RtpTimeline, StampReader

NOW = 1_764_000_000_123_456_789


def test_the_ntp_epoch() -> None:
    assert clock.ntp_from_ns(0) == 2_208_988_800 << 32
    assert clock.ntp_from_ns(SECOND // 2) & 0xFFFFFFFF == 1 << 31


@pytest.mark.parametrize("stamp", [0, 1, 999_999_999, NOW, 2_085_978_495_999_999_999, 2_085_978_496_000_000_001])
def test_every_nanosecond_comes_back(stamp: int) -> None:
    assert clock.stamp_from_extension(clock.ntp_extension(stamp)) == stamp


def test_random_nanoseconds_come_back() -> None:
    chance = random.Random(1)
    for _ in range(20_000):
        stamp = chance.randrange(3 * 10**18)
        assert clock.ns_from_ntp(clock.ntp_from_ns(stamp)) == stamp


def test_an_extension_of_another_length_is_no_stamp() -> None:
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
    assert steps[4] == pytest.approx(3000, abs=1)  # after the jump back the stamps' own pace goes on


def test_the_header_extension_wins() -> None:
    reader = StampReader()
    reader.report(clock.ntp_from_ns(5), 0)
    assert reader.stamp(NOW, 0, 7) == NOW
    assert reader.source == "ntp64"


def test_rtcp_then_arrival() -> None:
    reader = StampReader()
    assert reader.stamp(None, 0xFFFFFF00, NOW) == NOW
    assert reader.source == "arrival"
    reader.report(clock.ntp_from_ns(NOW), 0xFFFFFF00)
    assert reader.stamp(None, (0xFFFFFF00 + 9000) & 0xFFFFFFFF, NOW) == NOW + SECOND // 10
    assert reader.source == "rtcp"
    reader.reset()
    assert reader.stamp(None, 1, NOW) == NOW


def test_rtcp_time_of_a_clock_that_is_not_set_is_not_taken() -> None:
    reader = StampReader()
    for wrong in (0, NOW + 61 * SECOND):
        reader.report(clock.ntp_from_ns(wrong), 0)
        assert reader.stamp(None, 0, NOW) == NOW
        assert reader.source == "arrival"
        assert reader.troubles["RTCP time over 60 s off: arrival time taken"] == 1
        reader = StampReader()
    reader.report(clock.ntp_from_ns(NOW - 59 * SECOND), 0)
    assert reader.stamp(None, 9000, NOW) == NOW - 59 * SECOND + SECOND // 10
    assert reader.source == "rtcp"
    assert reader.stamp(None, 1 << 31, NOW + SECOND) == NOW + SECOND  # RTP time that jumps is no time either


def test_stamps_by_rtcp_never_step_back() -> None:
    reader = StampReader()
    arrivals = [NOW + index * SECOND // 30 for index in range(30)]
    stamps = [reader.stamp(None, index * 3000, arrival) for index, arrival in enumerate(arrivals[:10])]
    reader.report(clock.ntp_from_ns(NOW - SECOND // 5), 0)  # the frames take 0.2 s to come
    stamps += [reader.stamp(None, (10 + index) * 3000, arrival) for index, arrival in enumerate(arrivals[10:])]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert stamps[-1] == pytest.approx(arrivals[-1] - SECOND // 5, abs=1000)
    reader.report(clock.ntp_from_ns(NOW - 20 * SECOND), 0)
    assert reader.stamp(None, 30 * 3000, NOW + SECOND) == pytest.approx(NOW + SECOND * 4 // 5, abs=1000)
    assert reader.troubles == {"report with a time that steps back: not taken": 1}


def test_rtp_time_as_the_stamp_when_asked_for() -> None:
    reader = StampReader("rtp_timestamp")
    sent = RtpTimeline().timestamp(NOW)
    assert abs(reader.stamp(None, sent, NOW + 3 * 3600 * SECOND) - NOW) < 100_000  # a clock three hours off
    assert reader.source == "rtp_timestamp"
