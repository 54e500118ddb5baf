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

"""Counters for the hot path: cheap to increment, reported once a second."""

from __future__ import annotations

import threading
from collections import Counter, deque

import numpy as np


class Counters:
    """Counts faults per frame or packet. Thread-safe; no call blocks.

    Reasons contain sizes and similar values, so invalid input could create any number of them. After ``max_reasons``
    different reasons, others are counted as ``others``, separately in the totals and in the current interval.
    """

    def __init__(self, max_reasons: int = 50) -> None:
        self._max_reasons = max_reasons
        self._lock = threading.Lock()
        self._fresh: Counter[str] = Counter()
        self._total: Counter[str] = Counter()

    def add(self, reason: str, count: int = 1) -> None:
        """Count an event."""
        with self._lock:
            for counts in (self._fresh, self._total):
                known = reason in counts or len(counts) < self._max_reasons
                counts[reason if known else "others"] += count

    def take(self) -> str:
        """The counts since the last call, as one line; empty if there are none."""
        with self._lock:
            fresh, self._fresh = self._fresh, Counter()
        return ", ".join(f"{count} x {reason}" for reason, count in sorted(fresh.items()))

    def totals(self) -> dict[str, int]:
        """All counts since the start."""
        with self._lock:
            return dict(self._total)


class Meter:
    """Rate and durations in a sliding window of seconds. Times are seconds of any monotonic clock. Thread-safe.

    Keeps up to ``capacity`` events.
    """

    def __init__(self, window: float = 5.0, capacity: int = 1000) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._events: deque[tuple[float, float]] = deque(maxlen=capacity)
        self.count = 0

    def add(self, now: float, value: float = 0.0) -> None:
        """Add an event at ``now``; ``value`` is e.g. its duration in seconds or its size in bytes."""
        with self._lock:
            self._events.append((now, value))
            self.count += 1

    def rate(self, now: float) -> float:
        """Events per second; 0 if there are fewer than two events in the window."""
        with self._lock:
            times = [when for when, _ in self._events if now - when <= self._window]
        if len(times) < 2:
            return 0.0
        # The time since the last event lowers the rate once it exceeds the mean interval.
        span = max(times[-1] - times[0], (now - times[0]) * (len(times) - 1) / len(times))
        return (len(times) - 1) / span if span > 0 else 0.0

    def sum(self, now: float) -> float:
        """The sum of the values in the window."""
        with self._lock:
            return sum(value for when, value in self._events if now - when <= self._window)

    def percentile(self, now: float, share: float) -> float:
        """The percentile ``share`` (0..100) of the values in the window; nan if there are none."""
        with self._lock:
            values = [value for when, value in self._events if now - when <= self._window]
        return float(np.percentile(values, share)) if values else float("nan")
