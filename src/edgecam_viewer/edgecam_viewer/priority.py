"""Standing back when the processor is short."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def stand_back(niceness: int) -> None:
    """Give the calling thread, and those it starts later, at least this nice value (0..19); never a lower one.

    With the kernel's autogroups (sched(7)) nice values count only within a session, and launch files start each node
    in a session of its own: the session's group is made nicer, too, when it is this process's own.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getpid():
        # Not there without autogroups, and the kernel limits how often it may be written.
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(niceness))
