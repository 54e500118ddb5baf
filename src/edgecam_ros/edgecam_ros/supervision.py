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

"""Supervises callbacks: a mix-in that catches and reports their exceptions, so that they do not end the node."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]

from edgecam_ros.faults import FaultLog

R = TypeVar("R")
_TEXT_FIELDS = ("message", "status_message", "reason")


class SupervisedNode:
    """Mix-in for an rclpy node that supervises the callbacks of subscriptions, timers, services and parameters.

    An exception is logged once with its location, counted, and shown in /diagnostics for ten seconds: as WARN for an
    EdgecamError (the message or request was rejected), as ERROR for a defect. The next message, tick or request is
    processed normally. A service responds with ``success`` false and the reason; a parameter is rejected with the
    reason.
    """

    def __init__(self, *arguments: Any, **node_arguments: Any) -> None:
        # Before rclpy's constructor, which creates the parameter services.
        self.faults = FaultLog(lambda text: self.get_logger().error(text))  # type: ignore[attr-defined]
        self._parameter_callbacks: dict[Callable, Callable] = {}
        super().__init__(*arguments, **node_arguments)

    def supervised(
        self, callback: Callable[..., R], where: str = "", answer: Callable[..., R | None] = lambda *_: None
    ) -> Callable[..., R | None]:
        """Wrap a callback to catch its exceptions; also for hooks and callbacks of futures.

        ``where`` names it in the log; ``answer`` builds the result from the exception and the arguments.
        """
        name = where or getattr(callback, "__qualname__", type(callback).__name__)

        @functools.wraps(callback)
        async def call_coroutine(*arguments: Any, **named: Any) -> Any:
            try:
                return await callback(*arguments, **named)  # type: ignore[misc]
            except Exception as error:
                return answer(self.faults.add(name, error), *arguments)

        @functools.wraps(callback)  # rclpy inspects the signature
        def call(*arguments: Any, **named: Any) -> R | None:
            try:
                return callback(*arguments, **named)
            except Exception as error:
                return answer(self.faults.add(name, error), *arguments)

        return call_coroutine if inspect.iscoroutinefunction(callback) else call  # type: ignore[return-value]

    def create_subscription(self, message_type: Any, topic: str, callback: Any, *rest: Any, **named: Any) -> Any:
        callback = self.supervised(callback, f"subscription {topic}")
        return super().create_subscription(message_type, topic, callback, *rest, **named)  # type: ignore[misc]

    def create_timer(self, period: float, callback: Any, group: Any = None, clock: Any = None, **named: Any) -> Any:
        """Unless a clock is given, a timer uses the steady clock: the node's clock stops while ``use_sim_time`` is
        set and no /clock arrives, and the node would neither start nor report."""
        clock = clock or Clock(clock_type=ClockType.STEADY_TIME)
        return super().create_timer(period, self.supervised(callback), group, clock, **named)  # type: ignore[misc]

    def create_service(self, service_type: Any, name: str, callback: Any, *rest: Any, **named: Any) -> Any:
        callback = self.supervised(callback, f"service {name}", _refusal)
        return super().create_service(service_type, name, callback, *rest, **named)  # type: ignore[misc]

    def add_on_set_parameters_callback(self, callback: Any) -> None:
        wrapped = self._parameter_callbacks[callback] = self.supervised(callback, "parameter", _refused_parameter)
        super().add_on_set_parameters_callback(wrapped)  # type: ignore[misc]

    def remove_on_set_parameters_callback(self, callback: Any) -> None:
        super().remove_on_set_parameters_callback(self._parameter_callbacks.pop(callback, callback))  # type: ignore[misc]

    def entities(self) -> dict[int, tuple[Callable[[Any], object], Any]]:
        """Publishers, subscriptions, timers, services and clients by identity, each with its destroy method."""
        node: Any = self
        kinds = ("publisher", "subscription", "timer", "service", "client")
        return {id(one): (getattr(node, f"destroy_{kind}"), one) for kind in kinds for one in getattr(node, f"{kind}s")}

    def destroy_since(self, before: Mapping[int, object]) -> None:
        """Destroy the entities created since ``before`` (from ``entities``) that still exist."""
        for identity, (destroy, one) in self.entities().items():
            if identity not in before:
                destroy(one)


def _refused_parameter(error: EdgecamError, _changes: Any) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=str(error))


def _refusal(error: EdgecamError, request: Any, response: Any) -> Any:
    """A negative response, as far as the service type allows."""
    fields = response.get_fields_and_field_types()
    for name in ("success", "successful"):
        if name in fields:
            setattr(response, name, False)
    for name in _TEXT_FIELDS:
        if name in fields:
            setattr(response, name, str(error))
    if fields.get("results") == "sequence<rcl_interfaces/SetParametersResult>":
        missing = len(request.parameters) - len(response.results)
        response.results = [*response.results, *[_refused_parameter(error, None)] * missing]
    if fields.get("result") == "rcl_interfaces/SetParametersResult":
        response.result = _refused_parameter(error, None)
    return response
