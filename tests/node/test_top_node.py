"""``edgecam top`` on a real graph."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from viewer_process import ViewerProcess

COMMAND = [sys.executable, "-m", "edgecam_core.cli.main", "top", "--once"]


def test_a_running_node_has_a_line_with_its_cost(tmp_path: Path) -> None:
    with ViewerProcess(tmp_path, "port:=0") as viewer:
        assert viewer.url
        for _ in range(5):  # one call lasts four seconds, which discovery may need
            done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=120)
            if done.returncode == 0:
                break
    assert done.returncode == 0, done.stdout + done.stderr
    heading, line, total = done.stdout.splitlines()[:3]
    assert heading.split()[:3] == ["NODE", "STATE", "FPS"]
    assert line.split()[:2] == ["camera/viewer", "ok"]
    assert float(total.split()[2]) > 10, "the memory of a Python process with rclpy"


def test_without_nodes_it_is_reported() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "no node has reported" in done.stdout
    assert "waiting: for reports" in done.stderr


def test_ctrl_c_ends_it_without_an_error() -> None:
    with subprocess.Popen(
        [*COMMAND[:-1], "--interval", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "waiting: for reports of nodes on /diagnostics\n")


def test_two_nodes_of_one_name_are_shown_by_host_and_process(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with ViewerProcess(tmp_path / "one", "port:=0") as one, ViewerProcess(tmp_path / "two", "port:=0") as two:
        assert one.url
        assert two.url
        host = socket.gethostname()
        expected = [f"camera/viewer on {host} (pid {viewer.process.pid}) error" for viewer in (one, two)]
        for _ in range(5):  # one call lasts four seconds, which discovery may need
            done = subprocess.run(
                COMMAND, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"}
            )
            if all(line in done.stdout for line in expected):
                break
    assert all(line in done.stdout for line in expected), done.stdout
    assert "2 nodes are named /camera/viewer: " in done.stdout
