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

"""Finds the fastest way to run the model, in the background while the node runs it; once per machine and model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgecam_core.errors import EdgecamError
from edgecam_core.models.detector import Detector
from edgecam_core.models.swap import ModelSwap
from edgecam_core.models.tuning import TuningChoice, is_open, measured, start_tuning
from edgecam_core.models.worker import DetectionWorker
from edgecam_core.side_process import SideProcess
from rclpy.node import Node

from edgecam_detector.settings import DetectorNodeSettings

_PERIOD = 1.0  # seconds
_MIN_INFERENCE = 2e-3  # seconds; a faster model is not worth measuring


class Tuner:
    """Starts a measurement in another process when a model runs that has not been measured on this machine.

    The fastest choice takes over through ``swap``. ``worker`` returns the worker, None if there is none.
    """

    def __init__(
        self, node: Node, settings: Callable[[], DetectorNodeSettings], worker: Callable[[], DetectionWorker | None],
        swap: ModelSwap,
    ) -> None:  # fmt: skip
        self._node = node
        self._settings = settings
        self._worker = worker
        self._swap = swap
        self._checked = ""
        self._child: SideProcess | None = None
        self._closing = False
        self._timer = node.create_timer(_PERIOD, self._check)

    def close(self) -> None:
        """Stop measuring; does not wait."""
        self._closing = True
        self._node.destroy_timer(self._timer)
        if self._child is not None:
            self._child.close()

    def _check(self) -> None:
        worker = self._worker()
        detector = worker.detector if worker is not None else None
        if worker is None or detector is None or self._checked == detector.model.sha256:
            return
        took = worker.meters["infer"].percentile(time.monotonic(), 50)
        if not took >= 0:  # NaN: no images yet
            return
        self._checked = detector.model.sha256
        if detector.tuned or not detector.runner.on_cpu or took < _MIN_INFERENCE or not is_open(self._settings()):
            return
        self._child = start_tuning(self._settings())
        threading.Thread(target=self._finish, args=(worker, detector), name="tuning", daemon=True).start()

    def _finish(self, worker: DetectionWorker, detector: Detector) -> None:
        assert self._child is not None
        logger = self._node.get_logger()
        try:
            best, *others = measured(self._child)
        except EdgecamError as error:
            if not self._closing:
                logger.warning(f"the fastest way to run the model could not be measured: {error}")
            return
        if self._closing:
            return
        now = next((item for item in (best, *others) if _runs(item, detector)), None)
        logger.info(
            f"measured as fastest on this machine: {best}" + (f"; until now {now}" if now and now != best else "")
        )
        if now != best and not self._swap.begin(worker, "a faster choice was measured"):
            logger.info(f"it will be used from the next start on: {self._swap.state}")


def _runs(choice: TuningChoice, detector: Detector) -> bool:
    """Whether an untuned detector runs this way; it uses all cores, so it is the first choice of its back end."""
    return choice.backend == detector.runner.name and choice.precision == "auto"
