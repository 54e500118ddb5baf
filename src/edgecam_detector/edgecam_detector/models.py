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

"""Replaces the model of a running node: services ~/load_model and ~/rollback, and following the model store."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgecam_core.errors import EdgecamError
from edgecam_core.inference.runner import Progress
from edgecam_core.models.detector import Detector
from edgecam_core.models.store import SCHEME, ModelStore
from edgecam_core.models.swap import ModelSwap
from edgecam_core.models.worker import DetectionWorker
from edgecam_ros.background import Background
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

_LOAD_WAIT = 1800.0  # seconds; building an engine takes minutes
_FOLLOW_PERIOD = 1.0


class ModelServices:
    """The services, and a timer that follows the model store.

    With ``store:NAME`` (no version), the node follows the store: it loads each version that any process deploys. A
    version that could not take over is retried only on request.

    Args:
        model: the parameter ``model``.
        worker: returns the worker, None if there is none.
        load, slowdown: see :class:`ModelSwap`.
    """

    def __init__(
        self,
        node: Node,
        model: str,
        worker: Callable[[], DetectionWorker | None],
        load: Callable[[Progress], Detector],
        slowdown: Callable[[], float],
    ) -> None:
        self._node = node
        self._model = model
        self._worker = worker
        self._tried = ""
        self.swap = ModelSwap(load, slowdown, self._report)
        # A separate group: detection continues while a service waits for a model.
        group = MutuallyExclusiveCallbackGroup()
        self._services = (
            node.create_service(Trigger, "~/load_model", self._on_load, callback_group=group),
            node.create_service(Trigger, "~/rollback", self._on_rollback, callback_group=group),
        )
        self._timer = node.create_timer(_FOLLOW_PERIOD, self._follow) if self._store_name() else None

    def close(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)
        if self._timer is not None:
            self._node.destroy_timer(self._timer)

    def _store_name(self) -> str:
        """The name of the model to follow in the store; empty if none is followed."""
        name = self._model.removeprefix(SCHEME)
        return name if self._model.startswith(SCHEME) and "@" not in name else ""

    def _report(self, took_over: bool, text: str) -> None:
        if took_over:
            self._node.get_logger().info(text)
        else:
            self._node.get_logger().error(text)

    def _follow(self) -> None:
        worker = self._worker()
        detector = worker.detector if worker is not None else None
        if worker is None or detector is None:
            return
        try:
            deployed = str(ModelStore().version(self._store_name()).path)
        except EdgecamError as error:
            self._tried = self._tried or str(error)
            return
        if deployed in (str(detector.model.path), self._tried):
            return
        if self.swap.begin(worker, f"{deployed} was deployed"):
            self._tried = deployed

    async def _on_load(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._exchange("requested", response)

    async def _on_rollback(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        name = self._store_name()
        if not name:
            response.success = False
            response.message = f"model '{self._model}' is not followed in the store; start with model:={SCHEME}NAME"
            return response
        try:
            self._tried = str(ModelStore().rollback(name).path)
        except EdgecamError as error:
            response.success, response.message = False, str(error)
            return response
        return await self._exchange("rolled back", response)

    async def _exchange(self, reason: str, response: Trigger.Response) -> Trigger.Response:
        worker = self._worker()
        if worker is None or worker.detector is None:
            response.success, response.message = False, "no model is loaded yet; see the node's diagnostics"
            return response
        results: list[tuple[bool, str]] = []
        ended = threading.Event()

        def done(took_over: bool, text: str) -> None:
            results.append((took_over, text))
            ended.set()

        if not self.swap.begin(worker, reason, done):
            response.success, response.message = False, f"another model is being loaded: {self.swap.state}"
            return response
        await Background(self._node, lambda: ended.wait(_LOAD_WAIT))
        response.success, response.message = results[0] if results else (False, f"still {self.swap.state}")
        return response
