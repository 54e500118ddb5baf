# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The detector thread: loads the detector, takes the newest image of each source and delivers the detections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError, ImageError, InferenceError
from edgecam_core.inference.runner import Progress
from edgecam_core.mailbox import Mailbox
from edgecam_core.models.detector import Detector, Prepared
from edgecam_core.tracer import TRACER
from edgecam_core.types import Detections, Frame

STAGES = ("preprocess", "wait", "infer", "decode", "deliver")


class LoadCancelled(EdgecamError):
    """The owner cancelled loading; raised by the progress function."""


@dataclass(frozen=True, slots=True)
class DetectionJob:
    """One image to process. ``tag`` is the owner's data (a message header); ``arrived`` is a time.monotonic() time."""

    source: str
    frame: Frame
    tag: Any = None
    arrived: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Ready:
    """A job, and its preprocessed image: by which detector, and in how many seconds."""

    job: DetectionJob
    prepared: Prepared | None = None
    preprocess: float = 0.0
    prepared_by: Detector | None = None


class DetectionWorker:
    """Runs one detector for any number of sources in its own thread.

    The thread that calls :meth:`put` preprocesses the image, during the previous inference. A new image replaces a
    waiting one of the same source, which is counted in ``drops``; sources are served in turn. Images that are invalid
    or that the model fails on are counted in ``errors`` and skipped. A model that cannot be loaded is retried;
    ``problem`` is the reason. Any other exception ends the thread and goes to ``failed``. ``meters`` measures the
    seconds of each stage, ``sources`` the delivered images of each source.

    Args:
        load: builds the detector; called in the thread, with a function for reporting progress.
        loaded: called in the thread after the detector has been loaded.
        deliver: called in the thread with each image and its detections.
        failed: called last in the thread, with the exception that ended it.
        linger: seconds for which an incomplete batch waits for images of other sources.
        retry: seconds before the next attempt to load the model; longer if the attempt took long.
        on_load_error: called in the thread when the model cannot be loaded, once per reason.
    """

    def __init__(
        self,
        load: Callable[[Progress], Detector],
        loaded: Callable[[Detector], None],
        deliver: Callable[[DetectionJob, Detections], None],
        failed: Callable[[Exception], None],
        linger: float = 0.0,
        retry: float = 10.0,
        on_load_error: Callable[[EdgecamError], None] = lambda _: None,
    ) -> None:
        self._load = load
        self._loaded = loaded
        self._deliver = deliver
        self._failed = failed
        self._linger = linger
        self._retry = retry
        self._on_load_error = on_load_error
        self._mailbox: Mailbox[_Ready] = Mailbox()
        self._closing = threading.Event()
        self._replacement: tuple[Detector, Callable[[str], None]] | None = None
        self._thread = threading.Thread(target=self._run, name="detection", daemon=True)
        self.detector: Detector | None = None
        self.progress = "loading the model"
        self.problem: EdgecamError | None = None
        self.drops = Counters()
        self.errors = Counters()
        self.meters = {stage: Meter() for stage in STAGES}
        self.sources: dict[str, Meter] = {}

    def start(self) -> None:
        """Start loading; returns at once."""
        self._thread.start()

    def put(self, job: DetectionJob) -> None:
        """Preprocess an image (a millisecond or two) and queue it. It is dropped while no model is loaded."""
        detector = self.detector
        if detector is None:
            self.drops.add("dropped without a model")
            return
        ready = _Ready(job)
        # If an image is already waiting, the detector cannot keep up and this one may be replaced before it is used:
        # preprocess it later.
        usable = self._mailbox.waits(job.source) or self._prepare(detector, ready)
        if usable and self._mailbox.put(job.source, ready) is not None:
            self.drops.add("dropped for a newer one")

    def _prepare(self, detector: Detector, ready: _Ready) -> bool:
        """Preprocess an image; False if it is invalid, which is counted in ``errors``."""
        began = time.monotonic()
        try:
            ready.prepared = detector.prepare(ready.job.frame)
        except ImageError as error:
            self.errors.add(str(error))
            return False
        ready.preprocess = time.monotonic() - began
        ready.prepared_by = detector
        return True

    def replace(self, detector: Detector, done: Callable[[str], None]) -> None:
        """Switch to another detector between two batches; the worker closes the old one. Thread-safe; does not block.

        ``done`` is called in the worker's thread with an empty text after ``loaded`` has been called with the new
        detector. If no model is loaded, the new detector is closed and ``done`` is called at once with the reason.
        """
        if self.detector is None or self._closing.is_set():
            detector.close()
            done("no model is loaded that could be replaced")
            return
        self._replacement = (detector, done)
        self._mailbox.wake()

    def close(self) -> None:
        """End the thread and free the model; blocks until the current batch or loading step has ended."""
        self._closing.set()
        self._mailbox.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _report_progress(self, text: str) -> None:
        if self._closing.is_set():
            raise LoadCancelled("loading was cancelled")
        self.progress = text

    def _run(self) -> None:
        try:
            detector = self._load_with_retries()
            try:
                self.detector = detector
                self._loaded(detector)
                while not self._mailbox.closed:
                    linger = self._linger if detector.max_batch > 1 else 0.0
                    batch = [ready for _, ready in self._mailbox.take(detector.max_batch, linger)]
                    detector = self._replaced(detector)
                    # Images that were queued unprepared or for the previous detector are preprocessed now.
                    usable = [item for item in batch if item.prepared_by is detector or self._prepare(detector, item)]
                    for first in range(0, len(usable), detector.max_batch):
                        self._detect(detector, usable[first : first + detector.max_batch])
            finally:
                self.detector = None
                detector.close()
                if self._replacement is not None:
                    self._replacement[0].close()
                    self._replacement[1]("the detector is closing")
        except LoadCancelled:
            pass
        except Exception as error:
            self._failed(error)

    def _replaced(self, detector: Detector) -> Detector:
        """The detector for the next batch: the replacement, if there is one, reported before its first result."""
        if self._replacement is None:
            return detector
        fresh, done = self._replacement
        self._replacement = None
        fresh.continue_from(detector)
        self.detector = fresh
        self._loaded(fresh)
        detector.close()
        done("")
        return fresh

    def _load_with_retries(self) -> Detector:
        """Retry until the model loads: its file may be repaired, a network or a GPU may become available again."""
        while True:
            began = time.monotonic()
            try:
                detector = self._load(self._report_progress)
            except LoadCancelled:
                raise
            except EdgecamError as error:
                if str(error) != str(self.problem):
                    self._on_load_error(error)
                self.problem = error
                # An engine build that fails after minutes must not load the machine permanently.
                self._closing.wait(max(self._retry, 10 * (time.monotonic() - began)))
                self._report_progress("loading the model again")
            else:
                self.problem = None
                return detector

    def _detect(self, detector: Detector, batch: list[_Ready]) -> None:
        began = time.monotonic()
        try:
            prepared = [item.prepared for item in batch if item.prepared]
            found = detector.detect_prepared(prepared, [item.job.source for item in batch])
        except InferenceError as error:
            if len(batch) == 1:
                self.errors.add(str(error))
                return
            for item in batch:  # one by one: only the image that the model fails on is lost
                self._detect(detector, [item])
            return
        self._count(detector, batch, began)
        ago = round((time.monotonic() - began) * 1e9)
        for item in batch:
            TRACER.reached("detector.started", item.job.frame.stamp_ns, ago)
            TRACER.reached("detector.inferred", item.job.frame.stamp_ns)
        for item, detections in zip(batch, found, strict=True):
            started = time.monotonic()
            self._deliver(item.job, detections)
            TRACER.reached("detector.published", item.job.frame.stamp_ns)
            now = time.monotonic()
            self.meters["deliver"].add(now, now - started)
            self.sources.setdefault(item.job.source, Meter()).add(now)

    def _count(self, detector: Detector, batch: list[_Ready], began: float) -> None:
        now, timings = time.monotonic(), detector.timings
        for item in batch:
            self.meters["preprocess"].add(now, item.preprocess)
            self.meters["wait"].add(now, began - item.job.arrived - item.preprocess)
        for stage in ("infer", "decode"):
            self.meters[stage].add(now, getattr(timings, stage))
