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

"""Finding the fastest way to run the model while the node already runs it: once on each machine."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable

from edgecam_core.models.detector import Detector
from edgecam_core.models.swap import ModelSwap
from edgecam_core.models.tuning import Choice, is_open, start_tuning
from edgecam_core.models.worker import DetectionWorker
from rclpy.node import Node

from edgecam_detector.settings import DetectorNodeSettings

_PERIOD = 1.0  # seconds
_WORTH_IT = 2e-3  # seconds; an inference that takes less is not worth measuring


class Tuner:
    """Watches which model runs; one that was never measured here is measured by another process, once.

    What is fastest takes over through ``swap``. ``worker`` gives the worker, None while there is none.
    """

    def __init__(
        self, node: Node, settings: Callable[[], DetectorNodeSettings], worker: Callable[[], DetectionWorker | None],
        swap: ModelSwap,
    ) -> None:  # fmt: skip
        self._node = node
        self._settings = settings
        self._worker = worker
        self._swap = swap
        self._seen = ""
        self._child: subprocess.Popen[str] | None = None
        self._closing = False
        self._timer = node.create_timer(_PERIOD, self._look)

    def close(self) -> None:
        """Stop measuring; does not wait."""
        self._closing = True
        self._node.destroy_timer(self._timer)
        if self._child is not None:
            self._child.terminate()

    def _look(self) -> None:
        worker = self._worker()
        detector = worker.detector if worker is not None else None
        if worker is None or detector is None or self._seen == detector.model.sha256:
            return
        took = worker.meters["infer"].percentile(time.monotonic(), 50)
        if not took >= 0:  # nan: no images yet
            return
        self._seen = detector.model.sha256
        if detector.tuned or not detector.runner.on_cpu or took < _WORTH_IT or not is_open(self._settings()):
            return
        self._child = start_tuning(self._settings())
        threading.Thread(target=self._finish, args=(worker, detector), name="tuning", daemon=True).start()

    def _finish(self, worker: DetectionWorker, detector: Detector) -> None:
        assert self._child is not None
        told, problem = self._child.communicate()
        if self._closing:
            return
        logger = self._node.get_logger()
        if self._child.returncode != 0:
            why = (problem.strip() or f"exit code {self._child.returncode}").splitlines()[-1]
            logger.warning(f"what runs the model fastest could not be measured: {why}")
            return
        best, *others = (Choice(**item) for item in json.loads(told))
        now = next((item for item in (best, *others) if _runs(item, detector)), None)
        logger.info(
            f"measured as fastest here and stored: {best}" + (f"; until now {now}" if now and now != best else "")
        )
        if now != best and not self._swap.begin(worker, "a faster way was measured"):
            logger.info(f"it takes over at the next start: {self._swap.state}")


def _runs(choice: Choice, detector: Detector) -> bool:
    """Whether a detector that is not tuned runs this way; it takes all cores, so the first of its back end is it."""
    return choice.backend == detector.runner.name and choice.precision == "auto"
