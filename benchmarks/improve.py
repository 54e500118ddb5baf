"""From the field to a better model: the cost of the collector, a shadow model and a swap, and the training time.

All rows use the default model on the bundled clip and photographs, in this process.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.collect.collector import Collector
from edgecam_core.collect.observation import Observation
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.media.image_reader import read_image
from edgecam_core.models import zoo
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.opening import open_beside
from edgecam_core.models.shadow import ShadowWorker
from edgecam_core.models.swap import ModelSwap
from edgecam_core.models.worker import DetectionJob, DetectionWorker
from edgecam_core.types import Detections, Frame
from edgecam_training.improve import measure
from edgecam_training.improve.checkpoint import Checkpoints
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.head_trainer import HeadTrainer
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.network import FrozenNetwork

from benchmarks.row import Row
from benchmarks.store import ROOT

CLIP, PHOTOS = ROOT / "media" / "animals.mp4", ROOT / "tests" / "assets" / "photos"
SECONDS = 8.0
RATE = 10.0  # Hz, beside a shadow model
SWAP_RATE = 25.0  # Hz, while the model is swapped
TRAINING_FRAMES = 40  # frames


def rows() -> list[Row]:
    return [
        Row(
            "improve_collector_cost",
            "frames per second through the detector while the collector examines each frame", "Hz",
            "the same without a collector", partial(rate, collecting=True), partial(rate, collecting=False),
            better="higher", aim=0.98, label="Frame rate with the collector",
        ),
        Row(
            "improve_shadow_latency", f"latency of the live model at {RATE:g} Hz with a shadow model (p50)", "ms",
            "the same without a shadow model", partial(latency, shadow=True), partial(latency, shadow=False),
            aim=1.05, label="Latency with a shadow model",
        ),
        Row(
            "improve_swap_gap",
            f"longest time between two results at {SWAP_RATE:g} Hz while a model is built and swapped", "ms",
            "the same without a swap", partial(longest_gap, swap=True), partial(longest_gap, swap=False),
            label="Longest gap at a hot swap",
        ),
        Row(
            "improve_swap_lost",
            f"frames of {SWAP_RATE:g} Hz without a result while a model is built and swapped", "frames",
            "the same without a swap, plus the one frame that a swap may cost",
            partial(lost, swap=True), lambda: lost(swap=False) + 1,
            aim=1.0, label="Frames lost at a hot swap",
        ),
        Row(
            "improve_minutes_learn",
            f"learning a class from {TRAINING_FRAMES} frames, with calibration on folds", "min",
            "one inference on each of the same frames", training_minutes, inference_minutes,
            label=f"edgecam improve: learning from {TRAINING_FRAMES} frames",
        ),
        Row(
            "improve_minutes_test", f"testing two models on {TRAINING_FRAMES} frames", "min",
            "one inference on each of the same frames", evaluation_minutes, inference_minutes,
            label=f"edgecam improve: testing on {TRAINING_FRAMES} frames",
        ),
    ]  # fmt: skip


@cache
def frames() -> tuple[Frame, ...]:
    """The clip, bgr8, at 640x480."""
    video = cv2.VideoCapture(str(CLIP))
    made: list[Frame] = []
    while (read := video.read())[0]:
        made.append(Frame.from_array(cv2.resize(read[1], (640, 480)), "bgr8", len(made) * 40_000_000))
    return tuple(made)


def _settings(**values: object) -> DetectorSettings:
    return DetectorSettings(model=zoo.DEFAULT, backend="onnxruntime", confidence_threshold=0.3, **values)  # type: ignore[arg-type]


def rate(collecting: bool) -> float:
    """Frames per second at full speed; the collector has its default rules and writes to a temporary folder."""
    detector = Detector.open(_settings())
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.callback(detector.close)
        examine: Callable[[Observation], None] = lambda _observation: None  # noqa: E731
        if collecting:
            collector = Collector(CollectorSettings(directory=str(Path(folder) / "c"), min_free_megabytes=0.0))
            stack.callback(collector.close)
            examine = collector.examine
        for frame in frames()[:5]:
            detector.detect(frame)
        began, count = time.monotonic(), 0
        while time.monotonic() < began + SECONDS:
            frame = frames()[count % len(frames())]
            examine(Observation("camera", frame, tuple(detector.detect(frame))))
            count += 1
        return count / (time.monotonic() - began)


@contextmanager
def running_worker(deliver: Callable[[DetectionJob, Detections], None]) -> Iterator[DetectionWorker]:
    """A worker with the default model."""
    ready = threading.Event()
    worker = DetectionWorker(
        lambda progress: Detector.open(_settings(), progress), lambda _detector: ready.set(), deliver, _fail
    )
    worker.start()
    try:
        if not ready.wait(300):
            raise RuntimeError(f"the model was not loaded: {worker.problem}")
        yield worker
    finally:
        worker.close()


def _fail(error: Exception) -> None:
    raise error


def _offer(
    worker: DetectionWorker, seconds: float, until: Callable[[], bool] = lambda: True, rate: float = RATE
) -> int:
    """Offer frames at this rate for at least ``seconds`` and until the condition holds; returns their number."""
    began = time.monotonic()
    for number in itertools.count():
        if (ended := time.monotonic() - began) > 120 or (ended > seconds and until()):
            return number
        worker.put(DetectionJob("camera", frames()[number % len(frames())]))
        time.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
    raise AssertionError


def latency(shadow: bool) -> float:
    """Median of the milliseconds from a frame's arrival to its detections."""
    found: list[float] = []
    second: list[ShadowWorker] = []

    def deliver(job: DetectionJob, detections: Detections) -> None:
        found.append(time.monotonic() - job.arrived)
        if second:
            second[0].offer(job, detections)

    with running_worker(deliver) as worker:
        if shadow:
            second.append(
                ShadowWorker(
                    lambda progress: Detector.open(_settings(threads=1), progress), lambda _job, _detections: None
                )
            )
        try:
            _offer(worker, 3.0, lambda: not second or second[0].detector is not None)
            found.clear()
            _offer(worker, SECONDS)
        finally:
            for one in second:
                one.close()
    return 1e3 * statistics.median(found)


def _exchange(swap: bool) -> tuple[list[float], int]:
    """The times of the results, and the number of frames offered. The new model's INT8 file is built meanwhile."""
    found: list[float] = []
    ended = threading.Event()
    with ExitStack() as stack:
        settings = _settings(precision="int8", engine_cache=stack.enter_context(tempfile.TemporaryDirectory()))
        exchange = ModelSwap(
            lambda progress: open_beside(settings, progress), lambda: 0.0, lambda _took_over, _text: ended.set()
        )
        worker = stack.enter_context(running_worker(lambda _job, _detections: found.append(time.monotonic())))
        _offer(worker, 2.0, rate=SWAP_RATE)
        found.clear()
        if not swap:
            return found, _offer(worker, SECONDS, rate=SWAP_RATE)
        exchange.begin(worker, "a benchmark")
        offered = _offer(worker, SECONDS, ended.is_set, SWAP_RATE)
        if exchange.count != 1:
            raise RuntimeError(f"the model was not exchanged: {exchange.state}")
        return found, offered


def longest_gap(swap: bool) -> float:
    moments, _ = _exchange(swap)
    return 1e3 * float(np.diff(moments).max())


def lost(swap: bool) -> float:
    moments, offered = _exchange(swap)
    return float(max(offered - len(moments), 0))


@cache
def labelled() -> tuple[LabelledImage, ...]:
    """Crops of the bundled photograph of an owl, which gets a new label, with stamps a minute apart."""
    folder = Path(tempfile.mkdtemp(prefix="edgecam-improve-"))
    pixels = read_image(PHOTOS / "owl.jpg")
    chance = np.random.default_rng(3)
    made = []
    for number in range(TRAINING_FRAMES):
        height, width = pixels.shape[:2]
        left, top = (round(chance.uniform(0, 0.1 * side)) for side in (width, height))
        crop = cv2.resize(pixels[top : top + round(0.9 * height), left : left + round(0.9 * width)], (640, 480))
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), crop)
        box = np.array([[64, 24, 576, 470]], np.float32)
        made.append(LabelledImage(path, box, ("night bird",), "camera", number * 60 * 10**9))
    return tuple(made)


def _network() -> tuple[ClassHeads, FrozenNetwork]:
    model = ModelFile.read(zoo.fetch())
    heads = ClassHeads(model, [str(label) for label in model.fact("labels", [])])
    return heads, FrozenNetwork(model, heads)


def inference_minutes() -> float:
    _, network = _network()
    began = time.monotonic()
    for image in labelled():
        network(Frame.from_array(image.pixels(), "bgr8"))
    return (time.monotonic() - began) / 60


def training_minutes() -> float:
    heads, network = _network()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), "benchmark")
        trainer = HeadTrainer(heads, network, labelled(), (), ["night bird"], 2.0, lambda _text: None, checkpoints)
        began = time.monotonic()
        trainer.train()
        return (time.monotonic() - began) / 60


def evaluation_minutes() -> float:
    began = time.monotonic()
    for _ in range(2):
        measure.detect(zoo.DEFAULT, labelled(), lambda _text: None)
    return (time.monotonic() - began) / 60
