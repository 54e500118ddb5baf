"""Counting on the hot path: cheap adds, one report a second."""

from __future__ import annotations

import threading
from collections import Counter, deque

import numpy as np


class Counters:
    """Counts what goes wrong per frame or packet. Safe to use from any thread; no call blocks.

    Reasons name sizes and the like, so a sender of garbage could invent ever new ones: after ``kinds`` different ones
    the rest is counted as ``others``, in the totals and, by itself, in what came since the last call.
    """

    def __init__(self, kinds: int = 50) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._fresh: Counter[str] = Counter()
        self._total: Counter[str] = Counter()

    def add(self, what: str, count: int = 1) -> None:
        with self._lock:
            for counts in (self._fresh, self._total):
                known = what in counts or len(counts) < self._kinds
                counts[what if known else "others"] += count

    def take(self) -> str:
        """What came since the last call, as one line; empty when all was well."""
        with self._lock:
            fresh, self._fresh = self._fresh, Counter()
        return ", ".join(f"{count} x {what}" for what, count in sorted(fresh.items()))

    def totals(self) -> dict[str, int]:
        """All counts since the start."""
        with self._lock:
            return dict(self._total)


class Meter:
    """Rate and durations over a sliding window of seconds. Times are seconds of any monotonic clock."""

    def __init__(self, window: float = 5.0, most: int = 1000) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._events: deque[tuple[float, float]] = deque(maxlen=most)
        self.count = 0

    def add(self, now: float, value: float = 0.0) -> None:
        """One event at ``now``; ``value`` is what it took or how old it was, in seconds."""
        with self._lock:
            self._events.append((now, value))
            self.count += 1

    def rate(self, now: float) -> float:
        """Events per second; 0 when none came within the window."""
        with self._lock:
            times = [when for when, _ in self._events if now - when <= self._window]
        if len(times) < 2:
            return 0.0
        # Since the last event at least one more interval's worth of silence counts against the rate.
        span = max(times[-1] - times[0], (now - times[0]) * (len(times) - 1) / len(times))
        return (len(times) - 1) / span if span > 0 else 0.0

    def sum(self, now: float) -> float:
        """All values of the window together."""
        with self._lock:
            return sum(value for when, value in self._events if now - when <= self._window)

    def percentile(self, now: float, share: float) -> float:
        """The value below which ``share`` (0..100) percent of the window's values lie; nan when there is none."""
        with self._lock:
            values = [value for when, value in self._events if now - when <= self._window]
        return float(np.percentile(values, share)) if values else float("nan")
