"""What the tests of edgecam_core.side_process run in another process, which must find it under its module's name."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from edgecam_core.errors import SettingError
from edgecam_core.inference.runner import Progress


def describe(given: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    progress("half")
    logging.getLogger("edgecam_core.example").warning("nearly %s", given["word"])
    os.write(1, b"printed by a library\n")
    return {"pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0), "session": os.getsid(0), **given}


def refuse(_given: Mapping[str, Any], _progress: Progress) -> None:
    raise SettingError("precision", "int7", "must be int8")


def stumble(_given: Mapping[str, Any], _progress: Progress) -> None:
    raise ZeroDivisionError("a bug")


def crash(_given: Mapping[str, Any], _progress: Progress) -> None:
    print("the library's last words", file=sys.stderr, flush=True)
    ctypes.string_at(0)


def wait(_given: Mapping[str, Any], progress: Progress) -> None:
    while True:
        progress("waiting")
        time.sleep(0.05)
