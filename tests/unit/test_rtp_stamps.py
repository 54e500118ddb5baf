"""Capture times at the receiver: from the best source, for the right frame, never decreasing."""

from __future__ import annotations

import itertools
import random

import pytest
from edgecam_core.rtp import clock
from edgecam_core.rtp.clock import SECOND, RtpTimeline
from edgecam_core.rtp.stamps import PublishedStamps, Stamp, StampReader
from edgecam_core.rtp.timeline import Timeline

NOW = 1_764_000_000_123_456_789
INTERVAL = SECOND // 30
MILLISECOND = 1_000_000


def test_the_header_extension_wins() -> None:
    reader = StampReader()
    reader.report(clock.ntp_from_ns(5), 0)
    assert reader.stamp(NOW, 0, 7) == Stamp(NOW, "ntp64")


def test_rtcp_then_arrival() -> None:
    reader = StampReader()
    assert reader.stamp(None, 0xFFFFFF00, NOW) == Stamp(NOW, "arrival")
    reader.report(clock.ntp_from_ns(NOW), 0xFFFFFF00)
    assert reader.stamp(None, (0xFFFFFF00 + 9000) & 0xFFFFFFFF, NOW) == Stamp(NOW + SECOND // 10, "rtcp")
    reader.reset()
    assert reader.stamp(None, 1, NOW) == Stamp(NOW, "arrival")


@pytest.mark.parametrize("wrong", [0, NOW + 61 * SECOND])
def test_rtcp_time_of_a_clock_that_is_not_set_is_ignored(wrong: int) -> None:
    reader = StampReader()
    reader.report(clock.ntp_from_ns(wrong), 0)
    assert reader.stamp(None, 0, NOW) == Stamp(NOW, "arrival")
    assert reader.errors["RTCP time over 60 s off: arrival time used"] == 1


def test_a_report_that_contradicts_the_one_before_needs_a_second_one() -> None:
    reader = StampReader()
    reader.report(clock.ntp_from_ns(NOW + 50 * SECOND), 0)  # wrong
    reader.report(clock.ntp_from_ns(NOW + SECOND), 90_000)
    assert reader.errors == {"RTCP report contradicts the previous one: not used": 1}
    assert reader.stamp(None, 90_000, NOW + SECOND).ns == NOW + 51 * SECOND
    reader.report(clock.ntp_from_ns(NOW + 2 * SECOND), 180_000)
    assert reader.stamp(None, 180_000, NOW + 2 * SECOND) == Stamp(NOW + 2 * SECOND, "rtcp")


def test_the_report_of_a_new_timeline_may_come_before_or_after_its_first_frame() -> None:
    for report_first in (True, False):
        reader = StampReader()
        reader.report(clock.ntp_from_ns(NOW), 0)
        after, jumped = NOW + SECOND, (90_000 - 20 * 90_000) & 0xFFFFFFFF
        if report_first:
            reader.report(clock.ntp_from_ns(after), jumped)
        reader.jumped(jumped, after)
        assert reader.stamp(None, jumped, after) == Stamp(after, "rtcp" if report_first else "arrival")
        reader.report(clock.ntp_from_ns(after), jumped)
        assert reader.stamp(None, jumped, after).source == "rtcp"


def test_reports_of_a_new_timeline_do_not_affect_waiting_frames_of_the_old_one() -> None:
    reader = StampReader()
    reader.report(clock.ntp_from_ns(NOW), 0)
    assert reader.stamp(None, 0, NOW) == Stamp(NOW, "rtcp")
    jump = -20 * 90_000
    for seconds in (1, 2, 3):  # reports are read at once, frames wait for lost packets or a busy machine
        reader.report(clock.ntp_from_ns(NOW + seconds * SECOND), (seconds * 90_000 + jump) & 0xFFFFFFFF)
    assert reader.stamp(None, 90_000, NOW + 3 * SECOND) == Stamp(NOW + SECOND, "rtcp")
    reader.jumped((180_000 + jump) & 0xFFFFFFFF, NOW + 3 * SECOND)
    assert reader.stamp(None, (180_000 + jump) & 0xFFFFFFFF, NOW + 3 * SECOND) == Stamp(NOW + 2 * SECOND, "rtcp")
    assert reader.errors == {"RTCP report contradicts the previous one: not used": 1}


def test_rtp_time_as_the_stamp_when_asked_for() -> None:
    reader = StampReader("rtp_timestamp")
    sent = RtpTimeline().timestamp(NOW)
    stamp = reader.stamp(None, sent, NOW + 3 * 3600 * SECOND)  # a clock that is three hours off
    assert abs(stamp.ns - NOW) < 100_000
    assert stamp.source == "rtp_timestamp"


def test_stamps_by_arrival_keep_the_capture_intervals() -> None:
    reader, chance = StampReader(), random.Random(3)
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11]  # a pyramid of B-frames, in decoding order
    stamps = {}
    for turn, index in enumerate(order):
        arrival = NOW + turn * INTERVAL + 130 * MILLISECOND + chance.randrange(8 * MILLISECOND)
        stamps[index] = reader.stamp(None, index * 3000, arrival).ns
    later = [stamps[index] for index in sorted(stamps) if index > 4]
    assert all(abs(b - a - INTERVAL) < MILLISECOND for a, b in itertools.pairwise(later))


def test_published_stamps_run_at_half_speed_until_a_better_source_is_reached() -> None:
    published, source = PublishedStamps(), []
    stamps = []
    for index in range(30):
        ns = NOW + index * INTERVAL
        stamp = Stamp(ns, "arrival") if index < 10 else Stamp(ns - SECOND // 5, "rtcp")
        stamps.append(published.next(stamp, index * INTERVAL, 1))
        source.append(published.source)
    steps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert min(steps) >= INTERVAL // 2 - 1
    assert stamps[-1] == NOW + 29 * INTERVAL - SECOND // 5
    assert source[9] == source[10] == "arrival"  # by RTCP only once it is the time by RTCP
    assert source[-1] == "rtcp"


def test_capture_times_of_the_extension_are_published_unchanged() -> None:
    published = PublishedStamps()
    sent = [NOW, NOW + INTERVAL, NOW - 60 * SECOND, NOW - 60 * SECOND + INTERVAL]
    assert [published.next(Stamp(ns, "ntp64"), index, 1) for index, ns in enumerate(sent)] == sent
    assert published.steps_back == 1
    assert published.next(Stamp(sent[-1], "ntp64"), 9, 1) == sent[-1] + 1  # strictly increasing on one timeline
    assert published.next(Stamp(sent[-1], "ntp64"), 9, 2) == sent[-1]  # of another stream


def place_all(frames: list[tuple[int, bool]]) -> tuple[list[int], Timeline]:
    """Presentation times of frames (RTP timestamp, random access) that arrive at capture time."""
    line = Timeline()
    return [
        line.place(1, stamp & 0xFFFFFFFF, key, turn * INTERVAL).pts for turn, (stamp, key) in enumerate(frames)
    ], line


def test_reordered_frames_stay_on_one_timeline_even_across_the_wraparound() -> None:
    order = [0, 8, 4, 2, 1, 3, 6, 5, 7, 16, 12, 10, 9, 11, 14, 13, 15]
    start = (1 << 32) - 5 * 3000
    times, line = place_all([(start + 3000 * index, index % 8 == 0) for index in order])
    assert [time - times[0] for time in times] == [index * SECOND * 3000 // 90_000 for index in order]
    assert line.jumps == 0


def test_slow_streams_with_deep_reordering_do_not_jump() -> None:
    order = [0, 8, 4, 2, 1, 3, 6, 5, 7]
    _, line = place_all([(45_000 * index, index == 0) for index in order])  # two frames a second
    assert line.jumps == 0


@pytest.mark.parametrize("step", [-20 * 90_000, -90_000, 20 * 90_000, -(1 << 30)])
def test_a_jump_starts_a_new_timeline_at_once_or_at_the_next_random_access(step: int) -> None:
    before = [(3000 * index, index == 0) for index in range(40)]
    after = [(3000 * index + step, False) for index in range(40, 80)]
    times, line = place_all(before + after)
    assert line.jumps == 1
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


def test_a_small_step_back_starts_a_new_timeline_at_the_next_random_access() -> None:
    before = [(3000 * index, index == 0) for index in range(40)]
    after = [(3000 * index - 15_000, index == 42) for index in range(40, 50)]
    times, line = place_all(before + after)
    assert line.jumps == 1
    assert min(times[42:]) > max(times[:42])


def test_timestamps_that_stand_still_keep_their_order() -> None:
    times, _ = place_all([(7, index == 0) for index in range(100)])
    assert times == sorted(set(times))


def test_another_stream_starts_after_the_first() -> None:
    line = Timeline()
    first = line.place(1, 5000, True, 0)
    second = line.place(2, 10, True, 1)
    assert second.pts > first.pts
    assert second.line != first.line
    assert line.jumps == 0


def test_capture_times_that_ros_cannot_represent_are_ignored() -> None:
    reader = StampReader()
    assert reader.stamp((1 << 31) * SECOND - 1, 0, NOW).source == "ntp64"
    assert reader.stamp((1 << 31) * SECOND, 0, NOW) == Stamp(NOW, "arrival")
    assert sum(reader.errors.values()) == 1
