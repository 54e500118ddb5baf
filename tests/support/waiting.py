"""Waiting for events instead of sleeping for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

DISCOVERY = 120.0  # seconds; generous, because no result may depend on the machine's speed or load


def wait_until(
    condition: Callable[[], Any], timeout: float = DISCOVERY, what: str = "the event", *, every: float = 0.01
) -> Any:
    """Wait for the condition's first true value and return it; fails the test on a timeout.

    ``every``: seconds between two attempts, for a condition that does work, such as sending another image.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(every)
    pytest.fail(f"waited {timeout:g} s for {what}")


async def eventually(
    look: Callable[[], Awaitable[Any]],
    good: Callable[[Any], bool] = bool,
    *,
    what: str,
    timeout: float = 2 * DISCOVERY,
) -> Any:
    """Wait for the first good value of ``look``; fails the test with the last value on a timeout.

    An AssertionError that ``look`` raises counts as a value that is not good.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            value = await look()
            if good(value):
                return value
        except AssertionError as error:
            value = error
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout:g} s for {what}; it stayed {value!r}")
        await asyncio.sleep(0.1)
