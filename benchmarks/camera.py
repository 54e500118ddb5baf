"""The camera node on a file at full speed, against the bare pipeline and the usual OpenCV node.

A subscriber in another process receives every frame of both nodes.
"""

from __future__ import annotations

import functools
import json
import subprocess
from functools import partial
from pathlib import Path

from edgecam_core.temporary import TemporaryFolder

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import environment, peer, process

FRAMES = {"640x480": 1200, "1280x720": 600, "1920x1080": 400}  # enough to make the start-up negligible
OPENCV = "cv2.VideoCapture with cv_bridge in an rclpy node"
BARE = "the bare GStreamer pipeline to BGR into fakesink"


def rows() -> list[Row]:
    made = []
    for size in FRAMES:
        ours, opencv = partial(node, "camera_run", size), partial(node, "opencv_camera", size)
        made += [
            Row(
                f"camera_fps_{size}", f"{size} H.264 file to image_raw (bgr8), frames per second", "Hz", OPENCV,
                partial(value, ours, "fps"), partial(value, opencv, "fps"), "higher",
                label=f"Camera node, {size}: frames per second",
            ),
            Row(
                f"camera_cpu_{size}", f"{size} H.264 file to image_raw (bgr8), CPU time of the node per frame", "ms",
                OPENCV, partial(value, ours, "cpu_ms"), partial(value, opencv, "cpu_ms"),
                label=f"Camera node, {size}: CPU time per frame",
            ),
            Row(
                f"camera_cpu_bare_{size}", f"{size} H.264 file to image_raw (bgr8), CPU time of the node per frame",
                "ms", BARE, partial(value, ours, "cpu_ms"), partial(value, partial(bare, size), "cpu_ms"),
                label=f"Camera node, {size}: CPU time per frame, against the bare pipeline",
            ),
        ]  # fmt: skip
    return made


def value(run: functools.partial[dict[str, float]], key: str) -> float:
    return run()[key]


@functools.cache
def _folder() -> TemporaryFolder:
    return TemporaryFolder("bench")  # removed at the interpreter's end


@functools.cache
def clip(size: str) -> Path:
    """A moving test pattern as H.264 with one keyframe per second; created once per run."""
    width, height = size.split("x")
    path = Path(_folder().name) / f"{size}.mp4"
    text = (
        f"gst-launch-1.0 -q videotestsrc num-buffers={FRAMES[size]} pattern=smpte ! video/x-raw,format=I420,"
        f"width={width},height={height},framerate=30/1 ! x264enc speed-preset=veryfast key-int-max=30 bitrate=4000 "
        f"! h264parse ! mp4mux ! filesink location={path}"
    )
    subprocess.run(text.split(), check=True)
    return path


@shared
def node(program: str, size: str) -> dict[str, float]:
    """Frames per second, and CPU time per frame, of one node with a subscriber."""
    env, file = environment(), clip(size)
    with process(peer("image_counter", FRAMES[size]), env, stdout=subprocess.PIPE) as counter:
        assert counter.stdout is not None
        counter.stdout.readline()
        return _result(peer(program, file), env)


@shared
def bare(size: str) -> dict[str, float]:
    return _result(peer("bare_pipeline", clip(size)), environment())


def _result(command: list[str], env: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
