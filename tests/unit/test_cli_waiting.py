"""Each command that takes time says what it waits for before it imports slow modules."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from edgecam_core.cli.main import commands

HEAVY = ("rclpy", "gi", "onnx", "onnxruntime", "openvino", "tensorrt", "torch", "cv_bridge", "mcap", "matplotlib")
QUICK = {"events"}  # reads an index and ends
# Runs a command and ends with 99 at the first import of a heavy module, the first wait or the first process.
STOPPED = f"""
import os, subprocess, sys, threading, time
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {HEAVY!r}:
            stop(name)
def stop(what, *_, **__):
    print("stopped at", what, file=sys.stderr, flush=True)
    os._exit(99)
sys.meta_path.insert(0, Watch())
import edgecam_core.cli.main as main
time.sleep = threading.Event.wait = subprocess.Popen = stop
sys.exit(main.main(sys.argv[1:]))
"""
WAITING = {
    "benchmark": ("a.onnx b.onnx --data set", "loading set and a.onnx, b.onnx"),
    "dataset": ("stats photos", "reading photos"),
    "detect": (
        "rtsp://me:secret@host/live x.jpg",
        r"loading ssd_\w+, then opening rtsp://me:\*\*\*@host/live and 1 more",
    ),
    "doctor": ("", "examining this machine, then the running nodes"),
    "engine": ("build --model m.onnx", "building m.onnx; this can take minutes"),
    "evaluate": ("m.onnx --data set", "loading m.onnx and set"),
    "explain": ("videotestsrc ! fakesink", "GStreamer reads its elements"),
    "export": ("m.pt --output m.onnx", "loading m.pt"),
    "improve": ("frames", "reading the collection frames"),
    "label": ("frames", "reading the collection frames"),
    "model": ("get https://host/m.onnx?token=abc --as door", r"downloading https://host/m.onnx\?token=\*\*\*"),
    "receive": ("rtp://@:5000", "listening on rtp://@:5000"),
    "record": ("out.mcap /camera/*", r"for messages of /camera/\*"),
    "replay": ("a.mcap --delay 3", "reading a.mcap; playing starts 3 s after"),
    "show": ("/camera/image_raw", "for images on /camera/image_raw"),
    "top": ("", "for reports of nodes on /diagnostics"),
    "trace": ("--seconds 2", "for frames of running nodes, .* tracing for 2 s"),
    "train": ("--data set", "loading PyTorch, then the data set"),
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", STOPPED, *words], capture_output=True, text=True, timeout=60)


def test_every_command_is_covered() -> None:
    assert set(commands()) <= WAITING.keys() | QUICK


@pytest.mark.parametrize("name", WAITING)
def test_a_command_prints_what_it_waits_for_before_heavy_imports(name: str) -> None:
    if name not in commands():
        pytest.skip(f"needs the package of edgecam {name}")
    arguments, expected = WAITING[name]
    done = run(name, *arguments.split())
    first, *rest = done.stderr.splitlines()
    assert re.match(f"waiting: {expected}", first), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 99 or rest[-1].startswith("error: "), (
        "no slow module was imported: the test proves nothing"
    )


@pytest.mark.skipif(importlib.util.find_spec("edgecam_camera") is None, reason="needs edgecam_camera")
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("v4l2:///dev/video0", "opening v4l2:///dev/video0"),
        ("rtsp://me:secret@host/live", r"connecting to rtsp://me:\*\*\*@host/live"),
        ("http://host/video?password=abc", r"connecting to http://host/video\?password=\*\*\*"),
        ("rtp://@:5000", "listening on rtp://@:5000"),
    ],
)
def test_show_names_the_source_without_its_password(source: str, expected: str) -> None:
    first = run("show", source).stderr.splitlines()[0]
    assert re.fullmatch(f"waiting: {expected}", first)


@pytest.mark.parametrize("words", [("detect", "x.jpg", "--quiet"), ("record", "x.mcap", "--quiet"), ("engine", "list")])
def test_a_command_that_is_quiet_or_does_not_wait_prints_nothing(words: tuple[str, ...]) -> None:
    if words[0] not in commands():
        pytest.skip(f"needs the package of edgecam {words[0]}")
    output = run(*words).stderr
    assert "waiting" not in output
    assert "Traceback" not in output
