"""Waiting for an event instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

DISCOVERY = 60.0  # seconds; generous: no verdict may depend on how fast or busy the machine is


def wait_until(condition: Callable[[], Any], timeout: float = DISCOVERY, what: str = "the event") -> Any:
    """The condition's first true value; fails the test when it does not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"waited {timeout:g} s in vain for {what}")


async def eventually(
    look: Callable[[], Awaitable[Any]],
    good: Callable[[Any], bool] = bool,
    *,
    what: str,
    timeout: float = 2 * DISCOVERY,
) -> Any:
    """The first value of ``look`` that is good; fails the test with the last value if none is in time.

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
