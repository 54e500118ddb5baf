"""Process groups: checks for remaining processes, and signals to whole groups."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def send(group: int, number: int) -> bool:
    """Send a signal to all processes of a group; False if none is left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # the remaining processes belong to another user
        return False
    return True


def alive(group: int) -> bool:
    """Whether a process of the group still runs. Zombies do not count: they may never be reaped."""
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
