"""The detector: with default settings, the overhead of the node, and several cameras."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import cv2
import numpy as np

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import ROOT, environment, peer, process

PHOTO = ROOT / "tests" / "assets" / "photos" / "horse.jpg"
SECONDS = 6.0
CAMERAS = ("front", "rear", "left", "right")


def rows() -> list[Row]:
    return [
        Row(
            "detector_auto_time", "detector node with default settings, 640x480 at 10 Hz: time per frame (p50)", "ms",
            "the bare ONNX Runtime call, FP32", partial(slow, "busy_ms", precision="auto"), bare_call,
            label="Detector: time per frame",
        ),
        Row(
            "detector_node_time", "detector node in FP32: preprocess, infer and decode, 640x480 at 10 Hz (p50)", "ms",
            "the bare ONNX Runtime call on the same image", partial(slow, "busy_ms"), bare_call, aim=1.1,
            label="Detector in FP32: time per frame",
        ),
        Row(
            "detector_latency",
            "detector node in FP32: capture in another process to published, 640x480 at 10 Hz (p50)", "ms",
            "the bare ONNX Runtime call plus 5 ms", partial(slow, "published_ms"), allowed, aim=1.0,
            label="Detector: capture to published",
        ),
        Row(
            "detector_latency_seen", "FP32, capture to detections in another process, 640x480 at 10 Hz (p50)", "ms",
            "the bare ONNX Runtime call plus 5 ms", partial(slow, "latency_p50_ms"), allowed,
            label="Detector: capture to detections in another process",
        ),
        Row(
            "detector_four_cameras", "four cameras at 30 Hz into one detector: latency (p99)", "ms",
            "three times a camera's frame time", partial(overload, "latency_p99_ms"), lambda: 100.0, aim=1.0,
            label="Four cameras, one detector: latency (99th percentile)",
        ),
        Row(
            "detector_four_cameras_busy",
            "four cameras at 30 Hz into one detector while other processes use half of the machine: latency (p99)",
            "ms", "three times a camera's frame time", lambda: overload("latency_p99_ms", half()), lambda: 100.0,
            aim=1.0, label="Four cameras, one detector, half of the machine: latency (99th percentile)",
        ),
        Row(
            "detector_fairness", "four cameras at 30 Hz into one detector: least served camera", "Hz",
            "a fair share", least_served, fair_share, better="higher", aim=0.8,
            label="Four cameras, one detector: rate of the least served camera",
        ),
    ]  # fmt: skip


@shared
def probe(cameras: tuple[str, ...], rate: float, others: int = 0, precision: str = "auto") -> dict[str, Any]:
    """Run a detector node and the probe, with ``others`` busy processes; returns the probe's measurements."""
    env = environment()
    node = [sys.executable, "-m", "edgecam_detector.node", "--ros-args", "-p", "backend:=onnxruntime"]
    node += ["-p", f"precision:={precision}"]
    if cameras:
        node += ["-p", f"cameras:=[{','.join(cameras)}]"]
    with ExitStack() as stack:
        for _ in range(others):
            stack.enter_context(process([sys.executable, "-c", "while True: pass"], env))
        stack.enter_context(process(node, env))
        # A separate process: the probe must not wait while it sends, or it would measure itself.
        stack.enter_context(process(peer("camera_frames", rate, *cameras), env))
        done = subprocess.run(
            peer("detector_probe", SECONDS, *cameras),
            env=env, check=True, capture_output=True, text=True, timeout=120, cwd=ROOT,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def slow(key: str, precision: str = "fp32") -> float:
    """A value of one camera at a rate that the detector can process."""
    return float(probe((), 10, precision=precision)[key])


def allowed() -> float:
    return bare_call() + 5


def overload(key: str, others: int = 0) -> float:
    return float(probe(CAMERAS, 30, others)[key])


def half() -> int:
    """The number of busy processes that use half of this machine."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def least_served() -> float:
    return float(min(probe(CAMERAS, 30)["per_camera"].values()))


def fair_share() -> float:
    """The mean rate of the cameras in the same run."""
    return float(statistics.mean(probe(CAMERAS, 30)["per_camera"].values()))


@shared
def bare_call() -> float:
    """Median of ``session.run`` on a prepared image at 10 Hz, in milliseconds."""
    import onnxruntime
    from edgecam_core.models.zoo import fetch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(fetch()), options, providers=["CPUExecutionProvider"])
    photo = cv2.imread(str(PHOTO))
    assert photo is not None
    small = cv2.cvtColor(cv2.resize(photo, (300, 300)), cv2.COLOR_BGR2RGB)
    image = ((small.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None].copy()
    times = []
    for _ in range(int(SECONDS * 10)):
        started = time.perf_counter()
        session.run(None, {"input_0": image})
        times.append(time.perf_counter() - started)
        time.sleep(0.1)
    return 1e3 * statistics.median(times)
