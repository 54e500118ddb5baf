from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from edgecam_core.cache import lock
from edgecam_core.errors import EdgecamError, ModelError
from edgecam_core.models.detector import Detector, Prepared
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.worker import DetectionJob, DetectionWorker
from edgecam_core.types import Detections, Frame
from tiny_models import color_detector, quadrants
from waiting import wait_until

PATIENCE = 120.0


class Owner:
    """Collects the results of a worker."""

    def __init__(self, model: Path, gate: threading.Event | None = None) -> None:
        self.model = model
        self.gate = gate
        self.ready = threading.Event()
        self.changed = threading.Condition()
        self.found: list[tuple[DetectionJob, Detections]] = []
        self.errors: list[Exception] = []
        self.worker = DetectionWorker(self._load, lambda _: self.ready.set(), self._deliver, self._failed)

    def _load(self, progress: Callable[[str], None]) -> Detector:
        progress("reading")
        return Detector.open(DetectorSettings(model=str(self.model), backend="onnxruntime", threads=1), progress)

    def _deliver(self, job: DetectionJob, detections: Detections) -> None:
        if self.gate is not None:
            self.gate.wait(PATIENCE)
        with self.changed:
            self.found.append((job, detections))
            self.changed.notify_all()

    def _failed(self, error: Exception) -> None:
        with self.changed:
            self.errors.append(error)
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), "no result in time"


def frame(stamp: int = 0) -> Frame:
    return Frame.from_array(quadrants(32, 32), "bgr8", stamp)


def too_wide() -> Frame:
    return Frame.from_array(np.zeros((1, 40_000), np.uint8), "mono8")


def test_detections_come_with_their_image_and_tag(tmp_path: Path) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))
    owner.worker.start()
    assert owner.ready.wait(PATIENCE)
    owner.worker.put(DetectionJob("front", frame(7), tag="header"))
    owner.wait(lambda: len(owner.found) == 1)
    job, found = owner.found[0]
    assert (job.source, job.frame.stamp_ns, job.tag, len(found)) == ("front", 7, "header", 3)
    owner.worker.close()
    assert owner.errors == []


def test_a_bad_image_is_counted_and_the_next_works(tmp_path: Path) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))
    owner.worker.start()
    assert owner.ready.wait(PATIENCE)
    owner.worker.put(DetectionJob("a", too_wide()))
    owner.worker.put(DetectionJob("b", frame()))
    owner.wait(lambda: len(owner.found) == 1)
    owner.worker.close()
    assert owner.found[0][0].source == "b"
    assert "too large" in owner.worker.errors.take()


def test_a_bad_image_does_not_affect_the_rest_of_its_batch(tmp_path: Path) -> None:
    gate = threading.Event()
    owner = Owner(color_detector(tmp_path / "m.onnx", batch=4), gate)
    owner.worker.start()
    assert owner.ready.wait(PATIENCE)
    owner.worker.put(DetectionJob("first", frame()))  # the worker blocks while it delivers this one
    for source, image in (("a", frame()), ("bad", frame()), ("bad", too_wide()), ("c", frame())):
        owner.worker.put(DetectionJob(source, image))
    gate.set()
    owner.wait(lambda: len(owner.found) == 3)
    owner.worker.close()
    assert {job.source for job, _ in owner.found} == {"first", "a", "c"}
    assert "1 x a 40000x1 image is too large" in owner.worker.errors.take()


def test_a_slow_consumer_gets_the_newest(tmp_path: Path) -> None:
    gate = threading.Event()
    owner = Owner(color_detector(tmp_path / "m.onnx"), gate)
    owner.worker.start()
    assert owner.ready.wait(PATIENCE)
    owner.worker.put(DetectionJob("a", frame(0)))
    while owner.worker.meters["infer"].count == 0:  # until the first one is being delivered
        threading.Event().wait(0.01)
    for stamp in range(1, 50):
        owner.worker.put(DetectionJob("a", frame(stamp)))
    gate.set()
    owner.wait(lambda: len(owner.found) == 2)
    owner.worker.close()
    assert [job.frame.stamp_ns for job, _ in owner.found] == [0, 49]
    assert owner.worker.drops.totals() == {"dropped for a newer one": 48}


def test_the_next_image_is_prepared_during_the_inference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))
    owner.worker.start()
    assert owner.ready.wait(PATIENCE)
    detector = owner.worker.detector
    assert detector is not None
    infer, prepare = detector.runner.infer, detector.prepare
    working, proceed, prepared = threading.Event(), threading.Event(), []

    def held(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        working.set()
        assert proceed.wait(PATIENCE)
        return infer(feed)

    def noted(image: Frame | np.ndarray) -> Prepared:
        prepared.append(prepare(image))
        return prepared[-1]

    monkeypatch.setattr(detector.runner, "infer", held)
    monkeypatch.setattr(detector, "prepare", noted)
    owner.worker.put(DetectionJob("a", frame(0)))
    assert working.wait(PATIENCE)
    for stamp in range(1, 10):  # all but one would be prepared for nothing
        owner.worker.put(DetectionJob("a", frame(stamp)))
    owner.worker.put(DetectionJob("b", frame(10)))
    assert [image.stamp_ns for image in prepared] == [0, 1, 10]  # while the first one is processed
    proceed.set()
    owner.wait(lambda: len(owner.found) == 3)
    owner.worker.close()
    assert sorted(job.frame.stamp_ns for job, _ in owner.found) == [0, 9, 10]
    assert sorted(image.stamp_ns for image in prepared) == [0, 1, 9, 10]


def test_loading_a_model_is_retried(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "m.onnx")
    tries = Counter[str]()
    refused: list[EdgecamError] = []

    def load(progress: Callable[[str], None]) -> Detector:
        tries["all"] += 1
        return owner._load(progress)

    worker = DetectionWorker(
        load, lambda _: owner.ready.set(), owner._deliver, owner._failed, retry=0.01, on_load_error=refused.append
    )
    worker.start()
    wait_until(lambda: tries["all"] > 3, PATIENCE)
    assert isinstance(worker.problem, ModelError)
    assert len(refused) == 1  # reported once for all retries
    worker.put(DetectionJob("a", frame()))
    assert worker.drops.totals() == {"dropped without a model": 1}
    (tmp_path / "new").mkdir()
    color_detector(tmp_path / "new" / "m.onnx").rename(tmp_path / "m.onnx")
    assert owner.ready.wait(PATIENCE)
    assert worker.problem is None
    worker.put(DetectionJob("a", frame()))
    owner.wait(lambda: len(owner.found) == 1)
    worker.close()
    assert owner.errors == []


def test_closing_ends_the_wait_for_a_model(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "missing.onnx")
    worker = DetectionWorker(owner._load, lambda _: None, owner._deliver, owner._failed, retry=1e6)
    worker.start()
    wait_until(lambda: worker.problem, PATIENCE)
    worker.close()
    assert owner.errors == []


def test_closing_cancels_a_long_load(tmp_path: Path) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))
    loading = threading.Event()

    def endless(progress: Callable[[str], None]) -> Detector:
        while True:
            progress("still building")
            loading.set()

    worker = DetectionWorker(endless, lambda _: None, lambda *_: None, owner.errors.append)
    worker.start()
    assert loading.wait(PATIENCE)
    assert worker.progress == "still building"
    worker.close()
    assert owner.errors == []


def test_a_wait_for_another_process_is_reported_and_ends_with_the_worker(tmp_path: Path) -> None:
    settings = DetectorSettings(
        model=str(color_detector(tmp_path / "m.onnx")), backend="onnxruntime", max_batch=2, engine_cache=str(tmp_path)
    )
    Detector.open(settings).close()
    (path,) = tmp_path.glob("m-batch-*.onnx")
    rebuilding = settings.changed(force_engine_update=True)
    errors: list[Exception] = []
    worker = DetectionWorker(
        lambda progress: Detector.open(rebuilding, progress), lambda _: None, lambda *_: None, errors.append
    )
    with lock(path.with_name(path.name + ".lock")):
        worker.start()
        wait_until(lambda: "waiting for another process" in worker.progress, PATIENCE)
        worker.close()
    assert worker.detector is None
    assert errors == []


def test_an_error_while_delivering_reaches_the_owner(tmp_path: Path) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))

    def broken(job: DetectionJob, found: Detections) -> None:
        raise RuntimeError("the owner is broken")

    worker = DetectionWorker(owner._load, lambda _: owner.ready.set(), broken, owner._failed)
    worker.start()
    assert owner.ready.wait(PATIENCE)
    worker.put(DetectionJob("a", frame()))
    owner.wait(lambda: len(owner.errors) == 1)
    with pytest.raises(RuntimeError, match="the owner is broken"):
        raise owner.errors[0]


def test_overload_is_shared_fairly_and_keeps_no_backlog(tmp_path: Path) -> None:
    owner = Owner(color_detector(tmp_path / "m.onnx"))
    served: Counter[str] = Counter()
    alive: set[int] = set()
    made = number = 0

    def slow(job: DetectionJob, found: Detections) -> None:
        """Takes as long as two rounds of all sources, independent of the machine's speed."""
        served[job.source] += 1
        begin = number
        while number < begin + 2 and sum(served.values()) < 200:
            time.sleep(0.001)

    worker = DetectionWorker(owner._load, lambda _: owner.ready.set(), slow, owner._failed)
    worker.start()
    assert owner.ready.wait(PATIENCE)
    most_alive = 0
    while sum(served.values()) < 200:
        number += 1
        for name in ("a", "b", "c", "d"):
            pixels = quadrants(32, 32)
            made += 1
            alive.add(made)
            weakref.finalize(pixels, alive.discard, made)
            worker.put(DetectionJob(name, Frame.from_array(pixels, "bgr8", number)))
        del pixels
        most_alive = max(most_alive, len(alive))
        time.sleep(0.001)
    worker.close()
    assert max(served.values()) - min(served.values()) <= 2
    assert most_alive <= 4 + 4  # one waiting per source, those being processed, the one just created
    assert worker.drops.totals()["dropped for a newer one"] > 200
    assert owner.errors == []
