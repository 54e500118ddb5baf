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

"""Replaces the model of a running detector: the new one is loaded, warmed up and measured while the old one runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from edgecam_core.errors import EdgecamError
from edgecam_core.inference.runner import Progress
from edgecam_core.models.detector import Detector
from edgecam_core.models.worker import DetectionWorker

log = logging.getLogger(__name__)
_WARM_UP = 3  # the first runs allocate and tune
_MEASURED = 7
_ROUNDS = 3  # other load may slow down one measurement; a slower model slows down all


class ModelSwap:
    """Replaces the model, one exchange at a time.

    ``state`` describes the progress or result of the latest exchange; ``count`` is the number of successful ones.

    Args:
        load: builds the new detector; called in a separate thread.
        slowdown: returns the longest allowed inference time, in multiples of the old model's; 0: no limit.
        reported: called at the end, in any thread, with (whether the new model took over, text).
    """

    def __init__(
        self,
        load: Callable[[Progress], Detector],
        slowdown: Callable[[], float],
        reported: Callable[[bool, str], None] = lambda _took_over, _text: None,
    ) -> None:
        self._load = load
        self._slowdown = slowdown
        self._reported = reported
        self._lock = threading.Lock()
        self.state = ""
        self.count = 0

    def begin(self, worker: DetectionWorker, reason: str, done: Callable[[bool, str], None] | None = None) -> bool:
        """Start an exchange in the background; False if one is in progress. ``done`` is called like ``reported``."""
        if not self._lock.acquire(blocking=False):
            return False
        self.state = f"loading ({reason})"

        def end(took_over: bool, text: str) -> None:
            self.state = text
            self._lock.release()
            for callback in (self._reported, done):
                if callback is not None:
                    callback(took_over, text)

        threading.Thread(target=self._run, args=(worker, end), name="model swap", daemon=True).start()
        return True

    def _run(self, worker: DetectionWorker, end: Callable[[bool, str], None]) -> None:
        fresh: Detector | None = None
        try:
            fresh = self._load(self._progress)
            refusal = self._too_slow(fresh, worker)
        except EdgecamError as error:
            refusal = str(error)
        except Exception as error:
            log.exception("loading a model failed unexpectedly")
            refusal = f"{type(error).__name__}: {error}"
        if refusal or fresh is None:
            if fresh is not None:
                fresh.close()
            end(False, f"the current model stays: {refusal}")
            return
        path, sha = fresh.model.path, fresh.model.sha256

        def replaced(problem: str) -> None:
            if problem:
                end(False, f"the current model stays: {problem}")
            else:
                self.count += 1
                end(True, f"{path} (sha256 {sha[:12]}) took over")

        worker.replace(fresh, replaced)

    def _progress(self, text: str) -> None:
        self.state = text

    def _too_slow(self, fresh: Detector, worker: DetectionWorker) -> str:
        """Warm up and measure the new model; returns why it may not take over, empty if it may."""
        allowed = self._slowdown()
        refusal = ""
        for _ in range(_ROUNDS):
            new_ms = 1e3 * inference_seconds(fresh)
            old_ms = 1e3 * worker.meters["infer"].percentile(time.monotonic(), 50)  # NaN without recent images
            if allowed <= 0 or not new_ms > allowed * old_ms:
                return ""
            refusal = (
                f"an inference of {fresh.model.path} takes {new_ms:.1f} ms, with the current model {old_ms:.1f} ms; "
                f"max_slowdown allows {allowed:g} times"
            )
        return refusal


def inference_seconds(detector: Detector, runs: int = _MEASURED) -> float:
    """The median inference time in seconds, on a grey image after a warm-up; blocks for ``runs`` + 3 inferences."""
    image = np.full((480, 640, 3), 114, np.uint8)
    times = []
    for run in range(_WARM_UP + runs):
        detector.detect(image)
        if run >= _WARM_UP:
            times.append(detector.timings.infer)
    return float(np.median(times))
