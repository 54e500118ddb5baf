"""Ctrl-C ends the viewer at any moment without a traceback, with browsers connected and on a busy machine too."""

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
LIMIT = 0.8  # seconds of processor time; of time on the wall a busy machine may take several times as many


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
    """Ctrl-C, then the processor time until the process has ended."""
    pid = viewer.process.pid
    before = processor_seconds(pid)
    os.kill(pid, signal.SIGINT)
    assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None  # it has ended, its times are still there
    used = processor_seconds(pid) - before
    assert viewer.stop() == 0, viewer.text()
    assert "Traceback" not in viewer.text()
    assert "Fatal" not in viewer.text()
    return used


async def test_connected_viewers_do_not_delay_the_end(tmp_path: Path, machine: None) -> None:
    with ViewerProcess(tmp_path, "port:=0") as viewer, contextlib.ExitStack() as stack:
        url = viewer.url
        async with aiohttp.ClientSession() as session:
            for _ in range(3):  # none of which answers the closing handshake
                await session.ws_connect(f"{url}/ws")
                stack.enter_context(urllib.request.urlopen(f"{url}/stream.mjpg", timeout=30))
            assert end(viewer) < LIMIT


@pytest.mark.parametrize("progress", range(0, 1200, 150), ids=lambda one: f"{one} ms")
def test_a_signal_while_it_starts_ends_it_silently(tmp_path: Path, progress: int) -> None:
    """``progress`` is the processor time of the start so far, which the machine's speed changes little."""
    viewer = ViewerProcess(tmp_path, "port:=0")
    # Python's own start cannot be interrupted quietly; it ends where our first module has been loaded.
    pid = viewer.process.pid
    wait_until(lambda: viewer.started() and (processor_seconds(pid) * 1000 >= progress or "open " in viewer.text()), 60)
    assert end(viewer) < LIMIT
