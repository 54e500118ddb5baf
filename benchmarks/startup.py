"""From starting a node to its first frame in another process."""

from __future__ import annotations

import functools
import subprocess
import time
from pathlib import Path

from ament_index_python.packages import get_package_prefix

from benchmarks.row import Row
from benchmarks.support import environment, peer, process


def rows() -> list[Row]:
    return [
        Row(
            "startup_first_frame",
            "camera_node (test://smpte) from exec to its first frame in another process",
            "s",
            "a bare rclpy node that publishes an array",
            camera,
            bare,
            aim=1.3,
            label="Camera node: start to first frame",
        )
    ]


def camera() -> float:
    program = Path(get_package_prefix("edgecam_camera")) / "lib" / "edgecam_camera" / "camera_node"
    return first_frame(str(program), "--ros-args", "-p", "source:=test://smpte")


def bare() -> float:
    return first_frame(*peer("image_publisher", 640, 480, 30, 0))


def first_frame(*command: str) -> float:
    """Seconds until the first frame; an uncounted start before it brings the files into the page cache."""
    _warm(*command)
    return _first_frame(*command)


@functools.cache
def _warm(*command: str) -> None:
    _first_frame(*command)


def _first_frame(*command: str) -> float:
    env = environment()
    with process(peer("image_counter", 1), env, stdout=subprocess.PIPE) as counter:
        assert counter.stdout is not None
        counter.stdout.readline()
        begin = time.monotonic()
        with process([*command], env):
            counter.stdout.readline()
            return time.monotonic() - begin
