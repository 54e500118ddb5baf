"""Exceptions nobody expected, in threads and tasks without ROS: counted, and each kind logged once with its place."""

from __future__ import annotations

import asyncio
import concurrent.futures
import traceback
from collections.abc import Callable
from typing import Any

from edgecam_viewer.text import one_line

MOST_KINDS = 100  # different faults that are logged; all are counted


class FaultLog:
    """``add`` may be called from any thread; ``log`` is called once for each kind of fault with one line of text."""

    def __init__(self, log: Callable[[str], object]) -> None:
        self.count = 0
        self._log = log
        self._known: set[tuple[str, str]] = set()

    def add(self, where: str, error: BaseException) -> None:
        self.count += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "unknown place"
        kind = (where, f"{type(error).__name__} at {place}")
        if kind not in self._known and len(self._known) < MOST_KINDS:
            self._known.add(kind)
            self._log(f"{where}: {kind[1]}: {one_line(str(error), 300)}")


def watch(faults: FaultLog, where: str, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    """Report how this task or job ends if it fails; a cancelled one has not failed."""

    def ended(done: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            faults.add(where, error)

    future.add_done_callback(ended)
