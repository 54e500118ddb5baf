"""Waiting between tries: longer each time, and never in step with other cameras that lost the same server."""

from __future__ import annotations

import random


class Backoff:
    """Gives 0.25, 0.5, 1, ... seconds up to ``most``, each shortened by up to 30 % at random."""

    def __init__(self, first: float = 0.25, factor: float = 2.0) -> None:
        self._first = first
        self._factor = factor
        self.tries = 0

    def next(self, most: float) -> float:
        # The exponent is bounded so that a camera that is away for a year does not overflow a float.
        delay = min(most, self._first * self._factor ** min(self.tries, 30))
        self.tries += 1
        return delay * random.uniform(0.7, 1.0)

    def reset(self) -> None:
        self.tries = 0
