"""The arithmetic of `ros2 topic hz` and `ros2 topic bw`."""

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
        """A message came. A clock that jumps back starts anew."""
        if self._last is None or now < self._last:
            self._intervals.clear()
        else:
            self._intervals.append(now - self._last)
        self._last = now

    def take(self) -> Rate | None:
        """The rate, or None if nothing new came since it was last taken."""
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
        """A message of so many bytes came, at a time in nanoseconds."""
        self._arrivals.append((now, size))

    def report(self, now: int) -> str | None:
        """The text to print, or None with fewer than two messages."""
        if len(self._arrivals) < 2 or now <= self._arrivals[0][0]:
            return None
        sizes = [size for _, size in self._arrivals]
        speed = sum(sizes) / ((now - self._arrivals[0][0]) * NANO)
        values = (speed, sum(sizes) / len(sizes), min(sizes), max(sizes))
        if speed < 1e3:
            shown = [f"{value:.0f} B" for value in values]
        elif speed < 1e6:
            shown = [f"{value / 1e3:.2f} KB" for value in values]
        else:
            shown = [f"{value / 1e6:.2f} MB" for value in values]
        return (
            f"{shown[0]}/s from {len(sizes)} messages\n\tMessage size mean: {shown[1]} min: {shown[2]} max: {shown[3]}"
        )
