"""Futures that are looked at: how a task of the event loop or a job of a worker thread ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

from edgecam_ros.faults import FaultLog


def watch(faults: FaultLog, where: str, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    """Report the exception this task or job ends with, if it does; a cancelled one has not failed."""

    def ended(done: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            faults.add(where, error)

    future.add_done_callback(ended)
