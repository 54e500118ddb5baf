"""Ctrl-C ends the viewer at any moment without a traceback, even with connected browsers or on a busy machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from viewer_process import ViewerProcess
from waiting import wait_until

BUSY = "while True: pass"
LIMIT = 0.8  # seconds of CPU time; the elapsed time on a busy machine may be several times longer


@pytest.fixture(params=[False, True], ids=["idle", "busy"])
def machine(request: pytest.FixtureRequest) -> Iterator[None]:
    count = 2 * (os.cpu_count() or 1) if request.param else 0
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    yield
    for one in others:
        one.kill()
        one.wait()


def processor_seconds(pid: int) -> float:
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def end(viewer: ViewerProcess) -> float:
    """Ctrl-C; returns the CPU time until the process has ended."""
    pid = viewer.process.pid
    before = processor_seconds(pid)
    os.kill(pid, signal.SIGINT)
    assert (
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None
    )  # it has ended, but its times can still be read
    used = processor_seconds(pid) - before
    assert viewer.stop() == 0, viewer.text()
    assert "Traceback" not in viewer.text()
    assert "Fatal" not in viewer.text()
    return used


async def test_connected_viewers_do_not_delay_the_end(tmp_path: Path, machine: None) -> None:
    with ViewerProcess(tmp_path, "port:=0") as viewer, contextlib.ExitStack() as stack:
        url = viewer.url
        async with aiohttp.ClientSession() as session:
            for _ in range(3):  # none of which responds to the closing handshake
                await session.ws_connect(f"{url}/ws")
                stack.enter_context(urllib.request.urlopen(f"{url}/stream.mjpg", timeout=120))
            assert end(viewer) < LIMIT


@pytest.mark.parametrize("progress", range(0, 1200, 150), ids=lambda one: f"{one} ms")
def test_a_signal_while_it_starts_ends_it_silently(tmp_path: Path, progress: int) -> None:
    """``progress`` is the CPU time of the start so far, which depends little on other load."""
    viewer = ViewerProcess(tmp_path, "port:=0")
    # Python's own start cannot be interrupted silently; it ends when our first module has been loaded.
    pid = viewer.process.pid
    wait_until(lambda: viewer.started() and (processor_seconds(pid) * 1000 >= progress or "open " in viewer.text()))
    assert end(viewer) < LIMIT
