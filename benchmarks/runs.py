"""Shares runs between rows: within a round, a run that an earlier row has made is not repeated for a later row.

A run that measures both latency and share takes no longer than a run that measures one of them. Each round makes its
own runs, so the rounds of a row stay independent of each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from benchmarks import machine

P = ParamSpec("P")
R = TypeVar("R")


class Runs:
    """The runs of all rounds. ``round`` is the current round."""

    def __init__(self) -> None:
        self.round = 0
        self._known: dict[tuple[object, ...], tuple[object, float]] = {}
        self._used: list[float] = []

    def begin(self, number: int) -> None:
        self.round = number
        self._used = []

    def busy(self) -> float:
        """The largest machine load before any run used in this round, 0 to 1."""
        return max(self._used, default=0.0)

    def take(self, key: tuple[object, ...], run: Callable[[], R]) -> R:
        """The result of ``run``, or of an earlier run with this key in this round."""
        full = (self.round, *key)
        if full not in self._known:
            load = machine.busy()
            self._known[full] = (run(), load)
        found, load = self._known[full]
        self._used.append(load)
        return found  # type: ignore[return-value]  # the key determines the type


RUNS = Runs()


def shared(function: Callable[P, R]) -> Callable[P, R]:
    """Run the function once per round for equal arguments, which are compared by their ``repr``."""
    signature = inspect.signature(function)

    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        key = (function.__module__, function.__qualname__, repr(given.arguments))
        return RUNS.take(key, lambda: function(*args, **kwargs))

    return once
