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

"""Starts a process again whose DDS has deadlocked.

The deadlock of Fast DDS 3 described in :mod:`edgecam_ros.ending` can also happen to a node that goes on running, when
another one ends. From then on it receives nothing, and says nothing about it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

INTERVAL = 1.0
"""Seconds between two looks."""
LOOKS = 20
"""Looks in a row that find an event thread in the same wait for a mutex, which otherwise takes microseconds."""
MESSAGE = "error: Fast DDS has deadlocked (its issue 6502); the node starts again"
_TASKS = Path("/proc/self/task")
_DESCRIPTORS = Path("/proc/self/fd")
_GIVEN = set(os.listdir(_DESCRIPTORS))  # to this process; a file of parameters can be among them
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(os.uname().machine)
_FUTEX_WAIT, _FUTEX_COMMAND = 0, 0x7F


class EventThreads:
    """Watches the event threads of Fast DDS in this process. Create it when the nodes are there."""

    def __init__(self) -> None:
        self._threads = [task for task in _TASKS.iterdir() if _text(task / "comm").startswith("dds.ev.")]
        self._waiting: dict[Path, tuple[str, int]] = {}
        self._next_look = 0.0

    def deadlocked(self) -> bool:
        """Whether one waits for ever. Call it often; it looks once in ``INTERVAL``.

        Looks are counted, not seconds: the process itself may have been stopped in between.
        """
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + INTERVAL
        for thread in self._threads:
            state, looks = self._waiting.get(thread, ("", 0))
            waiting = _mutex_wait(thread)
            self._waiting[thread] = waiting, looks + 1 if waiting == state else 0
        return any(state and looks >= LOOKS for state, looks in self._waiting.values())


def _mutex_wait(thread: Path) -> str:
    """What identifies the wait for a mutex in which this thread is; empty if it is in none.

    Unlike a thread that waits for its next event, it is in a futex call without a time limit.
    """
    call = _text(thread / "syscall").split()
    if len(call) < 5 or call[0] != str(_FUTEX) or int(call[2], 16) & _FUTEX_COMMAND != _FUTEX_WAIT or int(call[4], 16):
        return ""
    return " ".join(line for line in _text(thread / "status").splitlines() if line.startswith("voluntary_ctxt"))


def _text(path: Path) -> str:
    """The content; empty if the thread has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def restart() -> NoReturn:
    """Replace this process by a new one with the same command, environment and process id."""
    print(MESSAGE, file=sys.stderr, flush=True)
    for descriptor in set(os.listdir(_DESCRIPTORS)) - _GIVEN:
        with contextlib.suppress(OSError):  # the list's own
            os.set_inheritable(int(descriptor), False)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # as the executables begin
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
