"""Stamps, pacing and back-off: pure logic with integers as clocks."""

from __future__ import annotations

import itertools

import pytest
from edgecam_core.camera.backoff import Backoff
from edgecam_core.camera.pace import Arrivals, RateLimit
from edgecam_core.camera.stamps import SenderLine, StampClock

MS = 1_000_000


class Clocks:
    """The ROS clock and the pipeline's running time, advanced by the test."""

    def __init__(self) -> None:
        self.ros, self.running = 1_700_000_000_000 * MS, 5_000 * MS

    def tick(self, running_ms: float, ppm: float = 0.0) -> None:
        self.running += int(running_ms * MS)
        self.ros += int(running_ms * MS * (1 + ppm / 1e6))

    def stamps(self) -> StampClock:
        return StampClock(lambda: self.ros, lambda: self.running)


def test_a_stamp_is_the_time_of_capture_not_of_arrival() -> None:
    clocks = Clocks()
    assert clocks.stamps().stamp(clocks.running - 40 * MS) == clocks.ros - 40 * MS


def test_intervals_are_the_capture_clocks_while_the_measurement_jitters() -> None:
    clocks = Clocks()
    stamps = clocks.stamps()
    first = stamps.stamp(clocks.running)
    clocks.tick(40)
    clocks.ros += 150_000  # read late, by less than the dead band
    assert stamps.stamp(clocks.running) - first == 40 * MS


def test_an_hour_of_drift_is_followed() -> None:
    clocks = Clocks()
    stamps = clocks.stamps()
    for _ in range(3600):
        clocks.tick(1000, ppm=100)
        last = stamps.stamp(clocks.running)
    assert abs(last - clocks.ros) <= 200_000  # 360 ms would be the drift


def test_stamps_increase_even_when_the_clock_is_slewed_back() -> None:
    clocks = Clocks()
    stamps = clocks.stamps()
    before = stamps.stamp(clocks.running)
    clocks.tick(10)
    clocks.ros -= 100 * MS
    assert stamps.stamp(clocks.running) == before + 1


def test_a_clock_that_is_set_back_by_an_hour_is_followed() -> None:
    clocks = Clocks()
    stamps = clocks.stamps()
    stamps.stamp(clocks.running)
    clocks.ros -= 3600 * 1000 * MS
    assert stamps.stamp(clocks.running) == clocks.ros


def test_a_frame_without_a_time_or_from_the_future_was_captured_now() -> None:
    clocks = Clocks()
    stamps = clocks.stamps()
    assert stamps.stamp(-1) == clocks.ros
    clocks.tick(10)
    assert stamps.stamp(clocks.running + 999 * MS) == clocks.ros


def test_the_rate_limit_takes_every_third_frame_of_thirty() -> None:
    limit = RateLimit(10)
    taken = [index for index in range(90) if limit.take(int(index * 1e9 / 30) + (index * 7919) % 3 * MS)]
    assert len(taken) == 30
    assert all(abs(b - a - 3) <= 1 for a, b in itertools.pairwise(taken))


def test_without_a_limit_all_frames_pass_and_a_new_timeline_starts() -> None:
    assert all(RateLimit(0).take(i) for i in range(100))
    limit = RateLimit(1)
    assert limit.take(int(100e9))
    assert limit.take(0)  # the source was reopened: time starts over


def test_frames_that_were_not_read_count_as_dropped() -> None:
    arrivals = Arrivals()
    arrivals.update(1, 0)
    arrivals.update(5, 1)  # 5 arrived, 2 were taken, 1 waits
    assert arrivals.drops == 2
    arrivals.update(2, 0)  # the count started over after a seek: 2 more arrived
    assert arrivals.drops == 4
    arrivals.restarted()
    arrivals.update(1, 0)
    assert arrivals.drops == 4


def test_back_off_grows_to_its_limit_with_jitter() -> None:
    backoff = Backoff()
    delays = [backoff.next(1.0) for _ in range(50)]
    assert 0.17 <= delays[0] <= 0.25
    assert all(0.7 <= delay <= 1.0 for delay in delays[2:])
    assert len(set(delays)) > 40
    backoff.reset()
    assert backoff.next(1.0) <= 0.25


MS = 1_000_000


def test_a_burst_at_the_start_does_not_shift_later_stamps() -> None:
    """A server that first sends its buffer: ten frames at once, then live ones."""
    line = SenderLine()
    for number in range(10):
        line.arrived(number * 40 * MS, 1000 * MS + number)
    for number in range(10, 50):
        line.arrived(number * 40 * MS, (640 + number * 40) * MS)
    assert abs(line.captured(49 * 40 * MS) - (640 + 49 * 40) * MS) < MS


def test_frames_that_arrive_in_decoding_order_keep_their_own_intervals() -> None:
    line, captured = SenderLine(), []
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    now = 0
    for number in order:
        now = max(now, number * 40 * MS) + MS
        line.arrived(number * 40 * MS, now)
    captured = [line.captured(number * 40 * MS) for number in range(10)]
    assert {later - earlier for earlier, later in itertools.pairwise(captured)} == {40 * MS}
    assert 0 <= captured[9] - 9 * 40 * MS <= MS


@pytest.mark.parametrize("ppm", [-150, 150])
def test_a_cameras_clock_that_drifts_is_followed(ppm: int) -> None:
    line = SenderLine()
    for number in range(25 * 600):
        now = number * 40 * MS
        pts = now + now * ppm // 1_000_000
        line.arrived(pts, now + 5 * MS)
    assert abs(line.captured(pts) - now - 5 * MS) < 4 * MS


def test_a_camera_whose_time_restarts_begins_a_new_timeline() -> None:
    line = SenderLine()
    for number in range(100):
        line.arrived(number * 40 * MS, number * 40 * MS)
    for number in range(10):
        line.arrived(number * 40 * MS, (4000 + number * 40) * MS)
    assert line.captured(9 * 40 * MS) == (4000 + 9 * 40) * MS
