"""Starting camera nodes as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import forked
import yaml
from diagnostic_msgs.msg import DiagnosticArray

LONG = 120.0
Start = Callable[..., "subprocess.Popen[str]"]


def command(namespace: str, settings: dict[str, object]) -> list[str]:
    texts = {name: yaml.safe_dump(value, width=10_000).splitlines()[0] for name, value in settings.items()}
    given = [word for name, text in texts.items() for word in ("-p", f"{name}:={text}")]
    return [sys.executable, "-m", "edgecam_camera.node", "--ros-args", "-r", f"__ns:={namespace}", *given]


@contextmanager
def camera_nodes() -> Iterator[Start]:
    """Start camera nodes; at the end they get SIGINT and must end with exit code 0 and without a traceback."""
    running: list[subprocess.Popen[str]] = []

    def begin(namespace: str = "/camera", **settings: object) -> subprocess.Popen[str]:
        process = forked.Popen(
            command(namespace, settings), stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ
        )
        running.append(process)
        return process

    try:
        yield begin
    finally:
        results = [_end(process) for process in running if process.returncode is None]
        print(*(errors for _, errors in results))  # shown if the block failed
    for code, errors in results:
        assert "Traceback" not in errors, errors
        assert code == 0, errors


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=LONG)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        return -1, f"did not end on SIGINT; {errors}"
    return process.returncode, errors


def values(array: DiagnosticArray) -> dict[str, str]:
    return {pair.key: pair.value for pair in array.status[0].values}
