"""The detector: what the node adds to the bare model, pictures a second from a folder, several cameras at once."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from edgecam_core.models.nms import overlaps

from benchmarks.harness import Row
from benchmarks.support import ROOT, environment, peer, process

PHOTOS = ROOT / "tests" / "assets" / "photos"
TORCH_PYTHON = ROOT / ".venv-training" / "bin" / "python"
PICTURES = 505  # as many as the homework's test set
SECONDS = 6.0
CAMERAS = ("front", "rear", "left", "right")


def rows() -> list[Row]:
    found = [
        Row(
            "detector_node_time", "detector node: preprocess, infer and decode, 640x480 at 10 Hz (p50)", "ms",
            "the bare ONNX Runtime call on the same picture", node_time, bare_call, aim=1.1,
        ),
        Row(
            "detector_latency", "detector node: capture to detections in another process, 640x480 at 10 Hz (p50)", "ms",
            "the bare ONNX Runtime call plus 5 ms", node_latency, lambda: bare_call() + 5, aim=1.0,
        ),
        Row(
            "detector_four_cameras", "four cameras at 30 Hz into one detector: latency (p99)", "ms",
            "three times a camera's frame time", partial(overload, "latency_p99_ms"), lambda: 100.0, aim=1.0,
        ),
        Row(
            "detector_fairness", "four cameras at 30 Hz into one detector: least served camera", "Hz",
            "a fair share", least_served, fair_share, better="higher", aim=0.8,
        ),
        Row(
            "detector_int8_agreement", "ONNX Runtime INT8: clear objects it has in common with FP32", "%",
            "FP32", agreement, lambda: 100.0, better="higher", aim=0.98,
        ),
    ]  # fmt: skip
    if TORCH_PYTHON.exists():
        for backend, precision in (("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino", "int8")):
            if importlib.util.find_spec(backend):
                found.append(
                    Row(
                        f"detector_folder_{backend}_{precision}",
                        f"folder of {PICTURES} JPEGs (1024x768) to boxes, {backend} {precision}", "pictures/s",
                        "PyTorch eager, read, infer, suppress in turn",
                        partial(folder_rate, backend, precision), torch_rate, better="higher",
                        aim=5.0 if precision == "int8" else None,
                    )
                )  # fmt: skip
    return found


def probe(cameras: tuple[str, ...], rate: float) -> dict[str, Any]:
    """Run a detector node and the probe; what the probe says."""
    env = environment()
    node = [sys.executable, "-m", "edgecam_detector.node", "--ros-args", "-p", "backend:=onnxruntime"]
    if cameras:
        node += ["-p", f"cameras:=[{','.join(cameras)}]"]
    with process(node, env):
        told = subprocess.run(
            peer("detector_probe", SECONDS, rate, *cameras),
            env=env, check=True, capture_output=True, text=True, timeout=120, cwd=ROOT,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def node_time() -> float:
    return float(probe((), 10)["busy_ms"])


def node_latency() -> float:
    return float(probe((), 10)["latency_p50_ms"])


def overload(key: str) -> float:
    return float(probe(CAMERAS, 30)[key])


def least_served() -> float:
    _overloaded.cache_clear()
    return min(_overloaded().values())


def fair_share() -> float:
    """The mean of the same run."""
    return statistics.mean(_overloaded().values())


@functools.lru_cache(maxsize=1)
def _overloaded() -> dict[str, float]:
    rates: dict[str, float] = probe(CAMERAS, 30)["per_camera"]
    return rates


def bare_call() -> float:
    """Median of ``session.run`` on a prepared picture at 10 Hz, in milliseconds."""
    import onnxruntime
    from edgecam_core.models.zoo import fetch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(fetch()), options, providers=["CPUExecutionProvider"])
    small = cv2.cvtColor(cv2.resize(read(PHOTOS / "horse.jpg"), (300, 300)), cv2.COLOR_BGR2RGB)
    picture = ((small.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None].copy()
    times = []
    for _ in range(int(SECONDS * 10)):
        started = time.perf_counter()
        session.run(None, {"input_0": picture})
        times.append(time.perf_counter() - started)
        time.sleep(0.1)
    return 1e3 * statistics.median(times)


@functools.lru_cache(maxsize=1)
def pictures() -> Path:
    """A folder of JPEGs made from the test photos: mirrored, turned a little, cut, 1024x768."""
    folder = Path(tempfile.mkdtemp(prefix="edgecam-bench-"))
    photos = [read(path) for path in sorted(PHOTOS.glob("*.jpg"))]
    random = np.random.default_rng(5)
    for number in range(PICTURES):
        photo = photos[number % len(photos)]
        height, width = photo.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-5, 5), random.uniform(1, 1.2))
        photo = cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        photo = photo[:, ::-1] if random.random() < 0.5 else photo
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), cv2.resize(photo, (1024, 768), interpolation=cv2.INTER_CUBIC))
    return folder


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def folder_rate(backend: str, precision: str) -> float:
    command = peer("detect_folder", pictures(), backend, precision, PHOTOS)
    return _printed(command)


def torch_rate() -> float:
    packages = [ROOT / "src" / name for name in ("edgecam_core", "edgecam_training")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages))}
    return _printed([str(TORCH_PYTHON), str(ROOT / "benchmarks" / "peers" / "torch_folder.py"), str(pictures())], env)


def _printed(command: list[str], env: dict[str, str] | None = None) -> float:
    told = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=600, cwd=ROOT)
    return float(told.stdout.split()[-1])


def agreement() -> float:
    """Percent of the clear objects (score above 0.6) of FP32 and of INT8 that the other sees too (above 0.4).

    A single threshold would count every object near it as a difference.
    """
    from edgecam_core.models.detector import Detector
    from edgecam_core.models.detector_settings import DetectorSettings

    settings = DetectorSettings(backend="onnxruntime", calibration=str(PHOTOS), confidence_threshold=0.4)
    exact, small = (Detector.open(settings.changed(precision=precision)) for precision in ("fp32", "int8"))
    seen = clear = 0
    for path in sorted(pictures().glob("*.jpg"))[:120]:
        picture = read(path)
        both = exact.detect(picture), small.detect(picture)
        for one, other in (both, both[::-1]):
            for box, class_id, score in zip(one.boxes, one.class_ids, one.scores, strict=True):
                if score > 0.6:
                    clear += 1
                    seen += bool((overlaps(box, other.boxes)[other.class_ids == class_id] > 0.5).any())
    return 100 * seen / clear
