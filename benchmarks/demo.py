"""`make demo` from the user's view: time to the first result, memory, time to stop."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import ROOT, environment, peer, process
from tests.support.network import free_tcp_port

SETTLED = 5.0  # seconds after the first detection
PATIENCE = 60.0
PAGE, DETECTION, STOP, MEMORY = 3.0, 6.0, 2.0, 700.0


def rows() -> list[Row]:
    return [
        Row("demo_page", "scripts/demo from exec until its page responds", "s", "the limit",
            partial(demo, "page"), lambda: PAGE, aim=1.0, label="Demo: start to page"),
        Row("demo_detection", "scripts/demo from exec until the first detection", "s", "the limit",
            partial(demo, "detection"), lambda: DETECTION, aim=1.0, label="Demo: start to first detection"),
        Row("demo_memory", "proportional memory (PSS) of the demo's processes while it runs", "MB", "the limit",
            partial(demo, "memory"), lambda: MEMORY, aim=1.0, label="Demo: memory of all nodes"),
        Row("demo_stop", "Ctrl-C until the last node of the demo has ended", "s", "the limit", partial(demo, "stop"),
            lambda: STOP, aim=1.0, label="Demo: Ctrl-C to the last node's end"),
        Row("demo_memory_node", "private memory of camera_node (test://smpte, 640x480)", "MB",
            "a bare rclpy node with the same imports", camera_private, bare_private, aim=1.3,
            label="Camera node: private memory"),
    ]  # fmt: skip


def demo(key: str) -> float:
    return facts()[key]


@shared
def facts() -> dict[str, float]:
    """Run the demo once; blocks for about fifteen seconds. ``memory`` is in MB, the other values in seconds."""
    env, port = environment(), free_tcp_port()
    with process(peer("first_detection", "/camera/detections"), env, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        begin = time.monotonic()
        with process([sys.executable, str(ROOT / "scripts" / "demo"), f"--port={port}"], env) as running:
            page = until(lambda: answers(port)) - begin
            detection = float(watching.stdout.readline()) - begin
            time.sleep(SETTLED)
            nodes = {pid for pid in processes(env) if re.search(r"/lib/edgecam_\w+/\w+_node", command(pid))}
            memory = sum(rollup(pid, "Pss") for pid in nodes)
            running.send_signal(signal.SIGINT)
            asked = time.monotonic()
            stop = until(lambda: not any(command(pid) for pid in nodes)) - asked
    return {"page": page, "detection": detection, "memory": memory, "stop": stop}


def until(condition: Callable[[], bool]) -> float:
    """The monotonic time when the condition holds.

    Raises:
        TimeoutError: it does not hold within a minute.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the demo does not come up or does not end")
        time.sleep(0.02)
    return time.monotonic()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def processes(env: dict[str, str]) -> list[int]:
    """The processes of this measurement, identified by its DDS domain."""
    mark = f"ROS_DOMAIN_ID={env['ROS_DOMAIN_ID']}".encode()
    return [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and mark in _bytes(path, "environ").split(b"\0")
    ]


def command(pid: int) -> str:
    """The command line; empty if the process has ended."""
    return _bytes(Path("/proc") / str(pid), "cmdline").replace(b"\0", b" ").decode(errors="replace")


def _bytes(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError:
        return b""


def rollup(pid: int, *fields: str) -> float:
    """The sum of these fields of /proc/PID/smaps_rollup, in MB."""
    text = _bytes(Path("/proc") / str(pid), "smaps_rollup").decode()
    found = dict(re.findall(r"(\w+):\s+(\d+) kB", text))
    return sum(int(found.get(field, 0)) for field in fields) / 1024


def private(program: list[str]) -> float:
    """Private memory of a process that publishes image_raw, some seconds after its first frame."""
    env = environment()
    with process(peer("image_counter", 90), env, stdout=subprocess.PIPE) as counter:
        assert counter.stdout is not None
        counter.stdout.readline()
        with process(program, env) as running:
            counter.stdout.readline()
            return rollup(running.pid, "Private_Clean", "Private_Dirty")


def camera_private() -> float:
    return private([sys.executable, "-m", "edgecam_camera.node", "--ros-args", "-p", "source:=test://smpte"])


def bare_private() -> float:
    # The camera node imports the last two when it opens its source and converts its first frame.
    skip, libraries = "edgecam_ros.message_support:skip_generator", ("edgecam_ros.starting:load_gstreamer", "cv2")
    return private(peer("image_publisher", 640, 480, 30, 0, skip, "edgecam_camera.node", *libraries))
