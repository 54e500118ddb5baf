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

"""A helper process that ends the launched processes if the launcher is killed.

After SIGKILL the launcher cannot stop its children. It therefore forks this small process first and reports every
process group over a pipe; when the pipe closes, the launcher has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from ros2cli.launch import groups

GRACE = 5.0
"""Seconds from SIGINT to SIGTERM, and from there to SIGKILL."""


class Guardian:
    """The launcher's side. Create it before any thread or event loop."""

    def __init__(self, temporary: Path) -> None:
        reader, self._writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _child(reader, self._writer, lambda: shutil.rmtree(temporary, ignore_errors=True))
        os.close(reader)

    def watch(self, group: int) -> None:
        """Report that a process group was started."""
        os.write(self._writer, f"+{group}\n".encode())

    def forget(self, group: int) -> None:
        """Report that a process group has ended."""
        os.write(self._writer, f"-{group}\n".encode())

    def close(self) -> None:
        """Stop the guardian and wait until it has ended."""
        os.close(self._writer)
        os.waitpid(self._pid, 0)


def _child(reader: int, writer: int, clean_up: Callable[[], None]) -> None:
    try:
        os.close(writer)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        end_all(_read_groups(reader))
        clean_up()
    finally:
        os._exit(0)


def _read_groups(reader: int) -> set[int]:
    """The groups that remain when the launcher's end of the pipe closes."""
    left: set[int] = set()
    with os.fdopen(reader) as lines:
        for line in lines:
            group = int(line[1:])
            if line[0] == "+":
                left.add(group)
            else:
                left.discard(group)
    return left


def end_all(left: set[int], grace: float = GRACE) -> None:
    """Send SIGINT, then SIGTERM, then SIGKILL to every group that still has processes."""
    for number in groups.SIGNALS:
        left = {group for group in left if groups.alive(group)}
        for group in left:
            groups.send(group, number)
        deadline = time.monotonic() + grace
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = {group for group in left if groups.alive(group)}
