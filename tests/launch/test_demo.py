"""The script of `make demo`: it ends after its time with an exit code, and Ctrl-C in a terminal ends it cleanly."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launched import ROOT, UNTUNED, Launched, ros_environment
from network import free_tcp_port

DEMO = str(ROOT / "scripts" / "demo")


def test_demo_ends_after_its_time_with_detections(launch: Callable[..., Launched]) -> None:
    port = free_tcp_port()
    # Few processes and frames: a busy machine needs most of the time to start them.
    arguments = ("--seconds", "25", "composition:=true", "framerate:=5.0", *UNTUNED)
    demo = launch("--port", str(port), *arguments, command=(DEMO,))
    demo.wait_for(rf"http://127\.0\.0\.1:{port}")
    demo.remember_children()
    assert demo.process.wait(120) == 0, demo.text()
    assert re.search(r"summary: \d+ frames processed", demo.text())
    assert re.search(r"seen +.*(giraffe|cow|horse|dog|bird|sheep|bear|cat)", demo.text())
    assert "Traceback" not in demo.text()
    assert demo.orphans() == []


def test_a_demo_without_detections_fails(launch: Callable[..., Launched]) -> None:
    # A grey test frame contains no object. The demo first frees the memory of a killed node (whose lock is free).
    left = [Path(f"/dev/shm/fastdds_{os.getpid():016x}{end}") for end in ("", "_el")]
    for path in left:
        path.touch()
    demo = launch(
        "--port", str(free_tcp_port()), "--seconds", "6", "source:=test://gray", "composition:=true",
        "framerate:=5.0", *UNTUNED, command=(DEMO,),
    )  # fmt: skip
    assert demo.process.wait(120) == 1, demo.text()
    assert "no detections arrived" in demo.text()
    assert not [path for path in left if path.exists()]


@pytest.mark.parametrize("port", [80800, 65536, -1])
def test_a_port_out_of_range_is_refused_with_a_port_that_works(port: int) -> None:
    done = subprocess.run([DEMO, f"--port={port}"], env=ros_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == (
        f"demo: port {port} is out of range (0 to 65535, 0 takes any free one); e.g. make demo PORT=8080\n"
    )


def test_a_port_in_use_is_reported_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [DEMO, "--port", str(port)]
        done = subprocess.run(command, env=ros_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr
    assert "make demo PORT=" in done.stderr


def test_ctrl_c_in_a_terminal_ends_make_demo_with_zero() -> None:
    # A real terminal: make runs the recipe as a user sees it, and Ctrl-C is typed.
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe("make", ["make", "demo", f"PORT={free_tcp_port()}"], ros_environment())
    text, typed, end = "", False, time.monotonic() + 120
    while time.monotonic() < end:
        try:
            text += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other end has closed the terminal
            break
        if not typed and re.search(r"detector +[1-9]|latency +\d", text):
            os.write(terminal, b"\x03")
            typed = True
    _, status = os.waitpid(pid, 0)
    assert typed, text
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "Traceback" not in text
