# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Capture times: maps the running time of a pipeline to the ROS clock."""

from __future__ import annotations

from collections.abc import Callable

_DEADBAND_NS = 200_000
_STEP_NS = 500_000_000
_JUMP_NS = 1_000_000_000  # a step back by more is a restart of the camera's time, not reordering
_WINDOW_NS = 10_000_000_000
_RISE_NS = 2_000_000  # drift of two clocks of 200 ppm within a window


class SenderLine:
    """Maps the RTP time of a network camera to the running time of the pipeline by the smallest delay seen.

    The RTP time of frames is exact, but runs on the camera's clock with an arbitrary start. Arrival times jitter, the
    first frames often come in a burst, and B-frames come in decoding order. The smallest delay between RTP time and
    arrival is free of queuing and reordering. Times are running times in nanoseconds. :meth:`arrived` and
    :meth:`captured` may be called from different threads.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._newest = 0
        self._window_begin = 0
        self._smallest = 0

    def arrived(self, pts: int, now: int) -> None:
        """A coded frame with this RTP time arrived now. Call in decoding order."""
        delay = now - pts
        if self._offset is None or pts < self._newest - _JUMP_NS:
            self._offset = self._smallest = delay
            self._newest, self._window_begin = pts, now
            return
        self._newest = max(self._newest, pts)
        self._smallest = min(self._smallest, delay)
        if delay < self._offset:
            self._offset = delay
        elif now - self._window_begin >= _WINDOW_NS:
            self._offset = min(self._smallest, self._offset + _RISE_NS)
            self._window_begin, self._smallest = now, delay

    def captured(self, pts: int) -> int:
        """The running time at which the frame with this RTP time was captured."""
        return pts + (self._offset or 0)


class StampClock:
    """The capture time of each frame, in nanoseconds of the ROS clock.

    The difference between the two clocks is measured for every frame, so that the stamps do not drift and follow a
    clock that is set or simulated. It is applied only when it changes by more than 0.2 ms, so that the intervals
    between stamps remain those of the capture clock. Stamps always increase, unless the ROS clock is set back by more
    than half a second. Not thread-safe.
    """

    def __init__(self, ros_now_ns: Callable[[], int], running_ns: Callable[[], int]) -> None:
        self._ros_now_ns = ros_now_ns
        self._running_ns = running_ns
        self._offset: int | None = None
        self._last = 0

    def stamp(self, pts_ns: int) -> int:
        """The ROS time at which the running time was ``pts_ns`` (-1: unknown; the current time is used)."""
        offset, running_now = self._measure()
        if self._offset is None or abs(offset - self._offset) > _DEADBAND_NS:
            self._offset = offset
        # No frame is captured in the future; a frame of unknown time counts as captured now.
        pts = running_now if pts_ns < 0 else min(pts_ns, running_now)
        # Simulated time is 0 until the first /clock; messages have no times before the epoch.
        return self.increasing(max(0, pts + self._offset))

    def now(self) -> int:
        """The current ROS time, for stamping a frame with its arrival."""
        return self.increasing(self._ros_now_ns())

    def increasing(self, stamp: int) -> int:
        """``stamp``, or one nanosecond after the last stamp if it is not later."""
        if self._last - _STEP_NS < stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        return stamp

    def _measure(self) -> tuple[int, int]:
        """ROS time minus running time, by the least disturbed of three measurements, and the current running time."""
        best: tuple[int, int] | None = None
        for _ in range(3):
            before = self._running_ns()
            ros = self._ros_now_ns()
            after = self._running_ns()
            if best is None or after - before < best[0]:
                best = (after - before, ros - (before + after) // 2)
            if best[0] < _DEADBAND_NS // 2:  # the error of a measurement is at most half its duration
                break
        assert best is not None
        return best[1], after
