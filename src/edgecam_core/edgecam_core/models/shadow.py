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

"""The shadow model: runs on frames of the live model at the lowest priority and is compared with it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError
from edgecam_core.inference.runner import Progress
from edgecam_core.models.agreement import compare
from edgecam_core.models.detector import Detector
from edgecam_core.models.worker import DetectionJob
from edgecam_core.types import Detections


class ShadowWorker:
    """Detects in frames of the live model, in a thread of the lowest priority.

    Frames offered while it is busy are ignored. ``both``, ``live_only`` and ``shadow_only`` count objects by label,
    since the start. ``problem`` is the reason why the model cannot be used. The live model never waits for this one: on
    a CPU the thread has SCHED_IDLE (sched(7)) if the system allows that, else nice value 19; on a GPU the two models
    share the device.

    Args:
        load: builds the detector, in the worker's thread; on a CPU with one thread, which then has the low priority.
        deliver: called in the worker's thread with each processed frame and its detections.
    """

    def __init__(
        self, load: Callable[[Progress], Detector], deliver: Callable[[DetectionJob, Detections], None]
    ) -> None:
        self._load = load
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: tuple[DetectionJob, Detections] | None = None
        self._closing = False
        self.problem: EdgecamError | None = None
        self.detector: Detector | None = None
        self.meter = Meter()
        self.counters = Counters()
        self.both: Counter[str] = Counter()
        self.live_only: Counter[str] = Counter()
        self.shadow_only: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, job: DetectionJob, found: Detections) -> None:
        """Offer a frame and the live model's detections in it; returns at once."""
        with self._changed:
            if self._waiting is None and self.detector is not None:
                self._waiting = (job, found)
                self._changed.notify()

    def close(self) -> None:
        """End the thread; blocks until the current inference or loading step has ended."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def agreement(self) -> dict[str, str]:
        """By label: "n of m", n objects found by both models of m found by any."""
        total = self.both + self.live_only + self.shadow_only
        return {label: f"{self.both[label]} of {total[label]}" for label in sorted(total)}

    def _progress(self, _text: str) -> None:
        if self._closing:
            raise EdgecamError("closing")

    def _run(self) -> None:
        _lower_priority()
        try:
            detector = self._load(self._progress)
        except EdgecamError as error:
            self.problem = error
            return
        self.detector = detector
        try:
            while (item := self._next()) is not None:
                self._detect(detector, *item)
        finally:
            self.detector = None
            detector.close()

    def _next(self) -> tuple[DetectionJob, Detections] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closing)
            return None if self._closing else self._waiting

    def _detect(self, detector: Detector, job: DetectionJob, live: Detections) -> None:
        try:
            found = detector.detect(job.frame)
        except EdgecamError as error:
            self.counters.add(str(error))
        else:
            both, live_only, shadow_only = compare(live, found)
            self.both += both
            self.live_only += live_only
            self.shadow_only += shadow_only
            self.meter.add(time.monotonic())
            self._deliver(job, found)
        with self._changed:
            self._waiting = None


def _lower_priority() -> None:
    """Give the calling thread the lowest priority; needs no privileges."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
