"""One run for several rows: what a row of this round has already run is not run again for the next row.

A run that yields a latency and a share takes as long as one that yields either. Each round has its own runs, so rows
stay independent of each other within their rounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from benchmarks import machine

P = ParamSpec("P")
R = TypeVar("R")


class Runs:
    """The runs of all rounds. ``round`` is the current one; ``busy`` the load that a round's shared runs began with."""

    def __init__(self) -> None:
        self.round = 0
        self._known: dict[tuple[object, ...], tuple[object, float]] = {}
        self._used: list[float] = []

    def begin(self, number: int) -> None:
        self.round = number
        self._used = []

    def busy(self) -> float:
        """The largest load before a run that this round has used, 0 to 1."""
        return max(self._used, default=0.0)

    def take(self, key: tuple[object, ...], run: Callable[[], R]) -> R:
        """The result of ``run``, or of its earlier call with this key in this round."""
        full = (self.round, *key)
        if full not in self._known:
            load = machine.busy()
            self._known[full] = (run(), load)
        found, load = self._known[full]
        self._used.append(load)
        return found  # type: ignore[return-value]  # the key determines the type


RUNS = Runs()


def shared(function: Callable[P, R]) -> Callable[P, R]:
    """Run the function once a round for equal arguments; their ``repr`` must say all about them."""
    signature = inspect.signature(function)

    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        key = (function.__module__, function.__qualname__, repr(given.arguments))
        return RUNS.take(key, lambda: function(*args, **kwargs))

    return once
