"""Starts a process that can be stopped at any time: imports alone take a second, several on a busy machine."""

from __future__ import annotations

import importlib
import os
import signal


def start(module: str) -> int:
    """Import the module and return the result of its ``main``. Until ``main`` installs its own handlers, SIGINT and
    SIGTERM end the process with 0; there is nothing to clean up before that.

    The executables start with both blocked (setup.cfg), as Python's own start would end with a traceback.
    """
    ending = (signal.SIGINT, signal.SIGTERM)
    for number in ending:
        signal.signal(number, lambda _number, _frame: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
    return int(importlib.import_module(module).main())
