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

"""The arithmetic of `ros2 topic hz`, `ros2 topic bw` and `ros2 topic delay`."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

NANO = 1e-9


@dataclass(frozen=True)
class Rate:
    """Messages per second and the statistics of the intervals, in seconds, over `window` intervals."""

    rate: float
    shortest: float
    longest: float
    deviation: float
    window: int


class RateMeter:
    """Counts arrivals at times in nanoseconds."""

    def __init__(self, window: int) -> None:
        self._intervals: deque[int] = deque(maxlen=window)
        self._last: int | None = None
        self._reported: int | None = None

    def arrived(self, now: int) -> None:
        """A message arrived. Restarts if the clock jumps back."""
        if self._last is None or now < self._last:
            self._intervals.clear()
        else:
            self._intervals.append(now - self._last)
        self._last = now

    def take(self) -> Rate | None:
        """The rate, or None if nothing new arrived since the last call."""
        if not self._intervals or self._last == self._reported:
            return None
        self._reported = self._last
        count = len(self._intervals)
        mean = sum(self._intervals) / count
        deviation = math.sqrt(sum((interval - mean) ** 2 for interval in self._intervals) / count)
        rate = 1.0 / (mean * NANO) if mean > 0 else 0.0
        return Rate(rate, min(self._intervals) * NANO, max(self._intervals) * NANO, deviation * NANO, count)


class BandwidthMeter:
    """Sums up message sizes over a window of messages."""

    def __init__(self, window: int) -> None:
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=window)

    def arrived(self, now: int, size: int) -> None:
        """A message of this many bytes arrived, at a time in nanoseconds."""
        self._arrivals.append((now, size))

    def report(self, now: int) -> str | None:
        """The text to print, or None with fewer than two messages."""
        if len(self._arrivals) < 2 or now <= self._arrivals[0][0]:
            return None
        sizes = [size for _, size in self._arrivals]
        speed = sum(sizes) / ((now - self._arrivals[0][0]) * NANO)
        values = (speed, sum(sizes) / len(sizes), min(sizes), max(sizes))
        if speed < 1e3:
            texts = [f"{value:.0f} B" for value in values]
        elif speed < 1e6:
            texts = [f"{value / 1e3:.2f} KB" for value in values]
        else:
            texts = [f"{value / 1e6:.2f} MB" for value in values]
        return (
            f"{texts[0]}/s from {len(sizes)} messages\n\tMessage size mean: {texts[1]} min: {texts[2]} max: {texts[3]}"
        )


class DelayMeter:
    """Statistics of the delay from the stamp in a header to the arrival, over a window of messages."""

    def __init__(self, window: int) -> None:
        self._delays: deque[int] = deque(maxlen=window)
        self._last: int | None = None
        self._new = False

    def arrived(self, now: int, stamp: int) -> None:
        """A message arrived; both times in nanoseconds. Restarts if the clock jumps back; 0 = clock not set yet."""
        if now == 0:
            return
        if self._last is not None and now < self._last:
            self._delays.clear()
        self._last = now
        self._delays.append(now - stamp)
        self._new = True

    def report(self) -> str | None:
        """The text to print, or None before the first message."""
        if not self._delays:
            return None
        if not self._new:
            return "no new messages"
        self._new = False
        count = len(self._delays)
        mean = sum(self._delays) / count
        deviation = math.sqrt(sum((delay - mean) ** 2 for delay in self._delays) / count)
        return (
            f"average delay: {mean * NANO:.3f}\n\tmin: {min(self._delays) * NANO:.3f}s "
            f"max: {max(self._delays) * NANO:.3f}s std dev: {deviation * NANO:.5f}s window: {count}"
        )
