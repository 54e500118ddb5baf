"""``edgecam top`` on a real graph."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import forked
from camera_process import LONG, camera_nodes
from waiting import wait_until

COMMAND = [sys.executable, "-m", "edgecam_core.cli.main", "top"]
SMALL = {"source": "test://red", "image_width": 64, "image_height": 48}


def once() -> subprocess.CompletedProcess[str]:
    """One call lasts four seconds, which discovery may need."""
    environment = {**os.environ, "COLUMNS": "200"}
    return forked.run([*COMMAND, "--once"], capture_output=True, text=True, timeout=300, env=environment)


def test_a_running_node_has_a_line_with_its_cost() -> None:
    with camera_nodes() as start:
        start(**SMALL)
        done = wait_until(lambda: (one := once()).returncode == 0 and one, 4 * LONG, "a node")
    heading, line, total = done.stdout.splitlines()[:3]
    assert heading.split()[:3] == ["NODE", "STATE", "FPS"]
    assert line.split()[:2] == ["camera/camera_driver", "ok"]
    assert float(total.split()[2]) > 10, "the memory of a Python process with rclpy"


def test_without_nodes_it_is_reported() -> None:
    done = once()
    assert done.returncode == 1
    assert "no node has reported" in done.stdout
    assert "waiting: for reports" in done.stderr


def test_ctrl_c_ends_it_without_an_error() -> None:
    with forked.Popen(
        [*COMMAND, "--interval", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "waiting: for reports of nodes on /diagnostics\n")


def test_two_nodes_of_one_name_are_shown_by_host_and_process() -> None:
    with camera_nodes() as start:
        host, processes = socket.gethostname(), [start(**SMALL), start(**SMALL)]
        expected = [f"camera/camera_driver on {host} (pid {process.pid}) error" for process in processes]

        def shown() -> str:
            text = once().stdout
            return text if all(line in text for line in expected) else ""

        assert "2 nodes are named /camera/camera_driver: " in wait_until(shown, 4 * LONG, "both")
