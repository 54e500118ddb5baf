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

"""Capture times: a pipeline's running time on the time line of the ROS clock."""

from __future__ import annotations

from collections.abc import Callable

_DEADBAND_NS = 200_000
_STEP_NS = 500_000_000
_JUMP_NS = 1_000_000_000  # back: a camera whose time starts again; frames are reordered over less
_WINDOW_NS = 10_000_000_000
_RISE_NS = 2_000_000  # in a window: what clocks of 200 ppm drift apart in it


class SenderLine:
    """A network camera's time line on that of the pipeline, by the smallest delay seen.

    The RTP time of frames is exact but runs on the camera's clock, from wherever it began; the arrival of single frames
    jitters, the first ones often come in a burst, and with B-frames they come in decoding order. The smallest delay
    between RTP time and arrival is what was not waiting or reordering. Times are running times in nanoseconds.
    :meth:`arrived` may be called from another thread than :meth:`captured`.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._newest = 0
        self._window_begin = 0
        self._least = 0

    def arrived(self, pts: int, now: int) -> None:
        """A coded frame with this RTP time arrived now. Call in decoding order."""
        delay = now - pts
        if self._offset is None or pts < self._newest - _JUMP_NS:
            self._offset = self._least = delay
            self._newest, self._window_begin = pts, now
            return
        self._newest = max(self._newest, pts)
        self._least = min(self._least, delay)
        if delay < self._offset:
            self._offset = delay
        elif now - self._window_begin >= _WINDOW_NS:
            self._offset = min(self._least, self._offset + _RISE_NS)
            self._window_begin, self._least = now, delay

    def captured(self, pts: int) -> int:
        """The running time at which the frame with this RTP time was captured."""
        return pts + (self._offset or 0)


class StampClock:
    """The capture time of each frame, in nanoseconds of the ROS clock.

    The difference between the two clocks is measured for every frame (so nothing drifts, however long it runs, and
    a clock that is set or simulated is followed) but taken over only when it moved by 0.2 ms, so that the intervals
    between stamps stay those of the capture clock. Stamps always increase, except after the ROS clock itself was set
    back by more than half a second. Not thread safe.
    """

    def __init__(self, ros_now_ns: Callable[[], int], running_ns: Callable[[], int]) -> None:
        self._ros_now_ns = ros_now_ns
        self._running_ns = running_ns
        self._offset: int | None = None
        self._last = 0

    def stamp(self, pts_ns: int) -> int:
        """The ROS time at which the running time was ``pts_ns`` (-1: not known, the time is now)."""
        offset, running_now = self._measure()
        if self._offset is None or abs(offset - self._offset) > _DEADBAND_NS:
            self._offset = offset
        # No frame was captured in the future; one whose time is unknown counts as captured now.
        pts = running_now if pts_ns < 0 else min(pts_ns, running_now)
        # Simulated time is 0 until the first /clock; messages have no times before the epoch.
        return self.increasing(max(0, pts + self._offset))

    def now(self) -> int:
        """The time of arrival."""
        return self.increasing(self._ros_now_ns())

    def increasing(self, stamp: int) -> int:
        if self._last - _STEP_NS < stamp <= self._last:
            stamp = self._last + 1
        self._last = stamp
        return stamp

    def _measure(self) -> tuple[int, int]:
        """ROS time minus running time, of three tries the one that was disturbed least; and the running time now."""
        best: tuple[int, int] | None = None
        for _ in range(3):
            before = self._running_ns()
            ros = self._ros_now_ns()
            after = self._running_ns()
            if best is None or after - before < best[0]:
                best = (after - before, ros - (before + after) // 2)
            if best[0] < _DEADBAND_NS // 2:  # half of it is the most this measurement can be wrong
                break
        assert best is not None
        return best[1], after
