"""Failed tasks and jobs of the web server's threads, reported to the node's fault log."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any

from edgecam_ros.faults import FaultLog

__all__ = ["FaultLog", "watch"]


def watch(faults: FaultLog, where: str, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
    """Report how this task or job ends if it fails; a cancelled one has not failed."""

    def ended(done: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            faults.add(where, error)

    future.add_done_callback(ended)
