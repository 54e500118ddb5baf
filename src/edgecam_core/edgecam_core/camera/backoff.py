"""Exponential back-off with jitter, so that cameras that lost the same server do not reconnect in step."""

from __future__ import annotations

import random


class Backoff:
    """Delays of 0.25, 0.5, 1, ... seconds up to ``most``, each randomly shortened by up to 30 %."""

    def __init__(self, first: float = 0.25, factor: float = 2.0) -> None:
        self._first = first
        self._factor = factor
        self.tries = 0

    def next(self, most: float) -> float:
        # The exponent is bounded: after a year of retries the power would overflow a float.
        delay = min(most, self._first * self._factor ** min(self.tries, 30))
        self.tries += 1
        return delay * random.uniform(0.7, 1.0)

    def reset(self) -> None:
        self.tries = 0
