# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
    """Whether a process of the group is still running. Zombies do not count, because they may never be reaped."""
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
"""The signals that end a process, in order of escalation."""
