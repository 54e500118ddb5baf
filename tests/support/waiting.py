"""Waiting for an event instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
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
