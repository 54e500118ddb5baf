"""Types of command line options."""

from __future__ import annotations

from argparse import ArgumentTypeError


def unsigned_int(text: str) -> int:
    """An integer, not negative."""
    if not text.isdigit():
        raise ArgumentTypeError("value must be non-negative integer")
    return int(text)


def positive_int(text: str) -> int:
    """An integer above 0."""
    if not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError("value must be a positive integer")
    return int(text)


def positive_float(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError as error:
        raise ArgumentTypeError("Expects a floating point number") from error
    if not value > 0.0:
        raise ArgumentTypeError("Value must be positive")
    return value
