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

"""Carries out the page's requests to the pipeline with ROS; offers.py lists the requests."""

from __future__ import annotations

import functools
import math
import queue
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node

from edgecam_viewer.offers import OFFERS, SIGNS, THRESHOLD, Value, checked
from edgecam_viewer.service_calls import ServiceCalls
from edgecam_viewer.shapes import ShapeControl
from edgecam_viewer.text import one_line

WAITING = 64  # requests that may be queued for the executor; more are refused
Answer = Callable[[dict[str, Any]], None]


@dataclass
class DetectorState:
    """The last reported or requested threshold of a detector, None if unknown.

    ``problem`` is why it cannot be set now, '' if it can.
    """

    threshold: float | None = None
    problem: str = ""


class RosControl:
    """The web server's thread calls ``ask``; everything else runs on the executor's thread.

    Args:
        node: the viewer node.
        nodes: node names by kind, relative to the viewer's namespace; '' for none. ``detector``, ``camera`` and
            ``events`` have one entry per camera, ``recorder`` and ``collector`` one entry.
        on_fault: called with the location and the exception of an invalid response.
        timeout: seconds for a request that takes its time: to write to disk, or to wait for a frame.
    """

    def __init__(
        self,
        node: Node,
        nodes: Mapping[str, Sequence[str]],
        on_fault: Callable[[str, BaseException], object],
        timeout: float,
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._timeout = timeout
        self._requests: queue.Queue[tuple[str, int, Value, Answer]] = queue.Queue(WAITING)
        self._calls = ServiceCalls(node, on_fault)
        self._states = {name: DetectorState() for name in nodes["detector"] if name}
        self._sets: Counter[str] = Counter()  # pending calls that set a threshold, by detector
        self._shapes = ShapeControl(self._calls, timeout)
        self._running = {kind: [False] * len(nodes[kind]) for kind in SIGNS}

    def detector(self, camera: int) -> DetectorState | None:
        """The state of the camera's detector; None if it has none."""
        return self._states.get(self._nodes["detector"][camera])

    def running(self, kind: str, index: int = 0) -> bool:
        """Whether the node of this kind offers its services; ``index`` is the number of the camera."""
        return self._running[kind][index]

    def full_names(self, kind: str) -> list[str]:
        """The names under which nodes of this kind report in ``/diagnostics``, each once."""
        resolved = (self._node.resolve_service_name(f"{name}/x") for name in self._nodes[kind] if name)
        return list(dict.fromkeys(name.strip("/").rpartition("/")[0] for name in resolved))

    def ask(self, request: dict[str, Any], answer: Answer) -> None:
        kind, camera, value = checked(request, len(self._nodes["detector"]))
        node = OFFERS[kind].node
        if not self._nodes[node][camera]:
            plural = "s" if node in ("detector", "camera") else ""
            raise EdgecamError(f"there is no such node (parameter '{node}_node{plural}')")
        try:
            self._requests.put_nowait((kind, camera, value, answer))
        except queue.Full:
            raise EdgecamError("too many requests at once") from None

    def work(self) -> None:
        """Send the viewers' requests; called several times a second."""
        self._calls.expire()
        thresholds: dict[int, tuple[Value, Answer]] = {}
        while not self._requests.empty():
            kind, camera, value, answer = self._requests.get_nowait()
            if kind == "threshold":
                thresholds[camera] = (value, answer)  # only the last position of a moving slider counts
            else:
                self._send(kind, camera, value, answer)
        for camera, (value, answer) in thresholds.items():
            self._send("threshold", camera, value, answer)

    def refresh(self) -> None:
        """Check which services exist and read every detector's threshold."""
        for kind, sign in SIGNS.items():
            offer = OFFERS[sign]
            for index, name in enumerate(self._nodes[kind]):
                self._running[kind][index] = bool(name) and self._calls.ready(name, offer.service, offer.type)
        for name, state in self._states.items():
            if not self._calls.ready(name, "get_parameters", GetParameters):
                state.problem = f"node {name!r} is not running"
            elif not self._calls.pending(("get", name)) and not self._sets[name]:
                request = GetParameters.Request(names=[THRESHOLD])
                done = functools.partial(self._got, name, state)
                failed = functools.partial(self._not_got, state)
                self._calls.send(("get", name), name, "get_parameters", GetParameters, request, done, failed)

    def close(self) -> None:
        self._calls.close()

    def _send(self, kind: str, camera: int, value: Value, answer: Answer) -> None:
        offer = OFFERS[kind]
        name = self._nodes[offer.node][camera]

        def say(ok: bool, text: str, value: Value = value) -> None:
            answer({"camera": camera, "ok": ok, "value": value, "text": one_line(text, 500)})

        if not self._calls.ready(name, offer.service, offer.type):
            say(False, f"node {name!r} is not running or cannot do this")
            return

        if kind == "shapes":
            self._shapes.read(name, self._nodes["detector"][camera], say)
            return
        if kind == "set_shapes":
            self._shapes.write(name, self._nodes["detector"][camera], value, say)
            return

        def done(response: Any) -> None:
            good, text = offer.outcome(response)
            if kind == "threshold":
                self._threshold_set(name, value if good else None)
            say(good, text)

        def failed(error: EdgecamError) -> None:
            if kind == "threshold":
                self._threshold_set(name, None)  # the detector may have set it without a response
            say(False, str(error))

        if kind == "threshold":
            self._sets[name] += 1
            self._states[name].threshold = value  # a status must not show the old one again
            self._calls.give_up(("get", name))  # its response would contain the old value
        request = offer.fill(value)
        # A unique key, so that a later request does not drop the response to this one.
        timeout = self._timeout if offer.timeout is None else offer.timeout
        self._calls.send(object(), name, offer.service, offer.type, request, done, failed, timeout)

    def _threshold_set(self, name: str, value: Value) -> None:
        """A call that sets the threshold has ended; ``value`` is the threshold now, None until it is read again."""
        self._sets[name] = max(0, self._sets[name] - 1)
        if not self._sets[name]:
            self._states[name].threshold = value

    def _got(self, name: str, state: DetectorState, response: Any) -> None:
        value = response.values[0] if response.values else ParameterValue()
        known = value.type == ParameterType.PARAMETER_DOUBLE and math.isfinite(value.double_value)
        state.problem = "" if known else f"node {name!r} has no parameter {THRESHOLD!r}"
        if known:
            state.threshold = value.double_value

    def _not_got(self, state: DetectorState, error: EdgecamError) -> None:
        state.problem = str(error)
