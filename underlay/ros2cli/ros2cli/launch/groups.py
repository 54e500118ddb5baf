"""Process groups: who is still in one, and ending all of one."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def send(group: int, number: int) -> bool:
    """Send a signal to all of a group; False if nobody is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # all that is left runs as somebody else
        return False
    return True


def alive(group: int) -> bool:
    """Does a process of the group still run? Zombies do not count: nobody may ever reap them."""
    if not send(group, 0):
        return False
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue
        state, _, its_group = stat.rpartition(")")[2].split()[:3]
        if int(its_group) == group and state not in "ZX":
            return True
    return False


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
"""What ends a process, in the order of escalation."""
