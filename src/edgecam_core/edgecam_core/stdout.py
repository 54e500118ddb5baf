"""Standard output whose reader may end before we do (``edgecam top | head``)."""

from __future__ import annotations

import os
import sys


def flush_stdout() -> None:
    """Write what is buffered; if the reader has closed, discard it.

    Call it last in a program: what the interpreter itself cannot flush turns the exit code into 120.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
