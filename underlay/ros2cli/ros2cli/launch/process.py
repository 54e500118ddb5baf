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

"""One supervised process: starts, ends and restarts it and forwards its output."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable
from typing import IO, Any

from ros2cli.launch import groups
from ros2cli.launch.console import Console
from ros2cli.launch.guardian import Guardian
from ros2cli.launch.plan import ProcessSpec

DRAIN = 1.0
"""Seconds to wait for the rest of the output after a process has ended."""


class Lines(asyncio.Protocol):
    """Splits a stream into lines."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.flush()
        if not self.closed.done():
            self.closed.set_result(None)

    def flush(self) -> None:
        """Pass on an unterminated last line."""
        rest, self._rest = self._rest, b""
        if rest:
            self._on_line(rest.decode(errors="replace"))


class Process:
    """Runs one ProcessSpec until it is done; `failed` is true if the process could not be started.

    `code` is the last exit code, `last_line` the last line that the process wrote to stderr.

    Every process has its own session and process group: this class sends signals to the whole group, and ends children
    that the process leaves behind.
    """

    def __init__(self, spec: ProcessSpec, console: Console, guardian: Guardian, stopping: asyncio.Event) -> None:
        self.spec = spec
        self.failed = False
        self.code = 0
        self.last_line = ""
        self._console = console
        self._guardian = guardian
        self._stopping = stopping

    async def run(self, on_exit: Callable[[Process], None]) -> None:
        """Run the process, restarting it according to `respawn`, until it is done or `stopping` is set.

        `on_exit` is called each time the process ends.
        """
        retries = 0
        while not self._stopping.is_set():
            await self._run_once()
            on_exit(self)
            exhausted = 0 <= self.spec.respawn_max_retries <= retries
            if not self.spec.respawn or exhausted or self.failed:
                return
            retries += 1
            await self._stopped(self.spec.respawn_delay)

    async def _run_once(self) -> None:
        spec = self.spec
        self._console.log("DEBUG", spec.name, f"process details: cmd='{spec.command_line}', cwd='{spec.cwd}'")
        try:
            process = subprocess.Popen(
                " ".join(spec.command) if spec.shell else spec.command,
                shell=spec.shell,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=spec.cwd,
                env=spec.environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self.failed = True
            self._console.log("ERROR", spec.name, f"cannot start '{spec.command_line}': {error}")
            return
        self._guardian.watch(process.pid)
        self._console.log("INFO", spec.name, f"process started with pid [{process.pid}]")
        exited = _exit_future(process)
        streams = [await self._forward(process.stdout, False), await self._forward(process.stderr, True)]
        await self._wait(process, exited)
        await asyncio.wait([stream.closed for stream in streams], timeout=DRAIN)
        for stream in streams:
            stream.flush()
        self.code = process.returncode
        self._report(process)
        await self._sweep(process.pid)
        self._guardian.forget(process.pid)
        assert process.stdin is not None
        process.stdin.close()

    async def _forward(self, stream: IO[bytes] | None, is_stderr: bool) -> Lines:
        spec = self.spec

        def on_line(line: str) -> None:
            if is_stderr and line.strip():
                self.last_line = line
            self._console.line(spec.name, spec.output, is_stderr, line)

        assert stream is not None
        loop = asyncio.get_running_loop()
        _, lines = await loop.connect_read_pipe(lambda: Lines(on_line), stream)
        return lines

    async def _stopped(self, timeout: float | None) -> bool:
        """Wait until the launch is stopping; False after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    async def _wait(self, process: subprocess.Popen[bytes], exited: asyncio.Future[None]) -> None:
        """Wait until the process has ended; when the launch is stopping, send it signals with escalation."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [exited, stopping]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        limits = (self.spec.sigterm_timeout, self.spec.sigkill_timeout, None)
        waited = 0.0
        for number, limit, following in zip(groups.SIGNALS, limits, (*groups.SIGNALS[1:], None), strict=True):
            if exited.done():
                return
            self._console.log("INFO", self.spec.name, f"sending signal '{number.name}' to process[{self.spec.name}]")
            groups.send(process.pid, number)
            await asyncio.wait([exited], timeout=limit)
            if not exited.done() and following is not None and limit is not None:
                waited += limit
                self._console.log(
                    "ERROR",
                    self.spec.name,
                    f"process[{self.spec.name}] failed to terminate '{waited}' seconds after receiving "
                    f"'{number.name}', escalating to '{following.name}'",
                )

    def _report(self, process: subprocess.Popen[bytes]) -> None:
        name, pid, code = self.spec.name, process.pid, process.returncode
        if code == 0:
            self._console.log("INFO", name, f"process has finished cleanly [pid {pid}]")
        else:
            died = f"process has died [pid {pid}, exit code {code}, cmd '{self.spec.command_line}']."
            self._console.log("ERROR", name, died)

    async def _sweep(self, group: int) -> None:
        """End processes that are still running in the group."""
        for number, limit in zip(groups.SIGNALS[1:], (self.spec.sigkill_timeout, DRAIN), strict=True):
            if not groups.alive(group):
                return
            groups.send(group, number)
            deadline = asyncio.get_running_loop().time() + limit
            while groups.alive(group) and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.05)


def _exit_future(process: subprocess.Popen[bytes]) -> asyncio.Future[None]:
    """A future that is done when the process has ended (a thread waits, which works on every kernel)."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[None] = loop.create_future()

    def wait() -> None:
        process.wait()
        loop.call_soon_threadsafe(exited.set_result, None)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    return exited
