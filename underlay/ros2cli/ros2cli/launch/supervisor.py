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

"""Runs a plan: starts all processes, handles signals, and returns when all have ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

from ros2cli.launch.console import Console
from ros2cli.launch.guardian import Guardian
from ros2cli.launch.plan import ProcessSpec
from ros2cli.launch.process import Process

TERMINATING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Supervisor:
    """Supervises one launch. `run` blocks and returns the exit code of `ros2 launch`.

    As in the original, the code does not depend on the processes' exit codes; it is 1 if a process could not be
    started. After SIGTERM, SIGHUP or SIGQUIT all processes are stopped, and `ended_by` is that signal.
    """

    def __init__(self, specs: Sequence[ProcessSpec], console: Console, guardian: Guardian) -> None:
        self._specs = specs
        self._console = console
        self._guardian = guardian
        self.ended_by: signal.Signals | None = None
        self._ended_first: Process | None = None

    def run(self) -> int:
        """Start all processes and wait until they have ended."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        for number in TERMINATING:
            loop.add_signal_handler(number, self._on_terminate, number)
        self._console.on_broken = self._stopping.set
        processes = [Process(spec, self._console, self._guardian, self._stopping) for spec in self._specs]
        await asyncio.gather(*(process.run(self._on_exit) for process in processes))
        self._log_cause()
        return int(any(process.failed for process in processes))

    def _on_exit(self, process: Process) -> None:
        name = process.spec.name
        if process.spec.required and not self._stopping.is_set():
            self._ended_first = process
            self._console.log("INFO", "launch", f"process[{name}] was required: shutting down launched system")
            self._stopping.set()

    def _log_cause(self) -> None:
        """Print, as the last line, which process ended the launch and why; the real ros2 launch prints it earlier."""
        ended = self._ended_first
        if ended is not None and ended.code != 0:
            text = f"the launch has ended because process[{ended.spec.name}] ended with exit code {ended.code}"
            self._console.log("ERROR", "launch", f"{text}: {ended.last_line}" if ended.last_line else text)

    def _on_interrupt(self) -> None:
        text = "user interrupted with ctrl-c (SIGINT)"
        self._console.log("WARNING", "launch", f"{text} again, ignoring..." if self._stopping.is_set() else text)
        self._stopping.set()

    def _on_terminate(self, number: signal.Signals) -> None:
        self._console.log("WARNING", "launch", f"received {number.name}: shutting down launched system")
        self.ended_by = self.ended_by or number
        self._stopping.set()


def die_by(number: signal.Signals) -> None:
    """End this process by a signal, so that its parent sees the cause."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
