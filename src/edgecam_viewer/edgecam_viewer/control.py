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

"""The page's requests to the pipeline, carried out with ROS: thresholds, snapshots and recordings, nothing else."""

from __future__ import annotations

import functools
import math
import queue
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from edgecam_viewer.service_calls import ServiceCalls
from edgecam_viewer.text import one_line

THRESHOLD = "confidence_threshold"
WAITING = 64  # requests that may wait for the executor; more are refused
Answer = Callable[[dict[str, Any]], None]
Value = float | bool | None


def _threshold(request: dict[str, Any]) -> float:
    value = request.get("value")
    # Compared before anything else is done with it: an int of JSON may be too large for a float.
    if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]
        raise EdgecamError("a threshold is a number from 0 to 1")
    return float(value)  # type: ignore[arg-type]


def _switch(request: dict[str, Any]) -> bool:
    if not isinstance(request.get("value"), bool):
        raise EdgecamError("recording is switched by true or false")
    return bool(request["value"])


# Everything on offer: the request's type, and how its value is read.
OFFERS: dict[str, Callable[[dict[str, Any]], Value]] = {
    "threshold": _threshold,
    "record": _switch,
    "snapshot": lambda _request: None,
}


def checked(request: dict[str, Any], cameras: int) -> tuple[str, int, Value]:
    """Type, camera and value of a request such as ``{"type": "threshold", "camera": 0, "value": 0.4}``.

    Raises:
        EdgecamError: it is not on offer, the camera does not exist, or the value cannot be.
    """
    kind, camera = request["type"], request.get("camera")
    if kind not in OFFERS:
        raise EdgecamError(f"{one_line(kind, 40)!r} is not on offer; known are {', '.join(OFFERS)}")
    if type(camera) is not int or not 0 <= camera < cameras:
        raise EdgecamError(f"this camera does not exist; known are 0 to {cameras - 1}")
    return kind, camera, OFFERS[kind](request)


@dataclass
class DetectorState:
    """A detector's last reported threshold; ``problem`` is why it cannot be set now, '' if it can."""

    threshold: float | None = None
    problem: str = ""


class RosControl:
    """``ask`` is called by the web server's thread; everything else runs on the executor's.

    Args:
        detectors, drivers: one node name per camera, relative to the viewer's namespace; '' for none.
        on_fault: called with the exception of an invalid response, and its place.

    ``saving``: for each camera, whether its node can save frames.
    """

    def __init__(
        self,
        node: Node,
        detectors: Sequence[str],
        drivers: Sequence[str],
        on_fault: Callable[[str, BaseException], object],
    ) -> None:
        self._nodes = {"threshold": detectors, "record": drivers, "snapshot": drivers}
        self._requests: queue.Queue[tuple[str, int, Value, Answer]] = queue.Queue(WAITING)
        self._calls = ServiceCalls(node, on_fault)
        self._states = {name: DetectorState() for name in detectors if name}
        self._sets: Counter[str] = Counter()  # thresholds on their way, by detector
        self.saving = [False] * len(detectors)

    def detector(self, camera: int) -> DetectorState | None:
        """The state of the camera's detector, None where it has none."""
        return self._states.get(self._nodes["threshold"][camera])

    def ask(self, request: dict[str, Any], answer: Answer) -> None:
        kind, camera, value = checked(request, len(self.saving))
        if not self._nodes[kind][camera]:
            raise EdgecamError("this camera has no such node (parameters 'detector_nodes', 'camera_nodes')")
        try:
            self._requests.put_nowait((kind, camera, value, answer))
        except queue.Full:
            raise EdgecamError("too many requests at once") from None

    def work(self) -> None:
        """Send the viewers' requests; called a few times a second."""
        self._calls.expire()
        newest: dict[tuple[str, int], tuple[Value, Answer]] = {}
        while not self._requests.empty():
            kind, camera, value, answer = self._requests.get_nowait()
            newest[kind, camera] = (value, answer)  # of a moving slider only the last position counts
        for (kind, camera), (value, answer) in newest.items():
            self._send(kind, camera, value, answer)

    def refresh(self) -> None:
        """Check which services exist and read every detector's threshold."""
        for camera, driver in enumerate(self._nodes["record"]):
            self.saving[camera] = bool(driver) and self._calls.ready(driver, "record", SetBool)
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
        name = self._nodes[kind][camera]

        def say(ok: bool, text: str) -> None:
            answer({"camera": camera, "ok": ok, "value": value, "text": one_line(text, 500)})

        service, service_type, request = _call(kind, value)
        if not self._calls.ready(name, service, service_type):
            say(False, f"node {name!r} is not running or cannot do this")
            return

        def done(response: Any) -> None:
            result = response.results[0] if kind == "threshold" else response
            good = bool(result.successful if kind == "threshold" else result.success)
            if kind == "threshold":
                self._threshold_set(name, value if good else None)
            say(good, str(result.reason if kind == "threshold" else result.message))

        def failed(error: EdgecamError) -> None:
            if kind == "threshold":
                self._threshold_set(name, None)
            say(False, str(error))

        if kind == "threshold":
            self._sets[name] += 1
            self._calls.give_up(("get", name))  # its response would be the old value
        # A unique key: a later request does not drop the response to this one.
        self._calls.send(object(), name, service, service_type, request, done, failed)

    def _threshold_set(self, name: str, value: Value) -> None:
        """A call that sets the detector's threshold has ended; ``value`` is None where it was refused."""
        self._sets[name] = max(0, self._sets[name] - 1)
        if value is not None:
            self._states[name].threshold = value

    def _got(self, name: str, state: DetectorState, response: Any) -> None:
        value = response.values[0] if response.values else ParameterValue()
        known = value.type == ParameterType.PARAMETER_DOUBLE and math.isfinite(value.double_value)
        state.problem = "" if known else f"node {name!r} has no parameter {THRESHOLD!r}"
        if known:
            state.threshold = value.double_value

    def _not_got(self, state: DetectorState, error: EdgecamError) -> None:
        state.problem = str(error)


def _call(kind: str, value: Value) -> tuple[str, type, Any]:
    """Name, type and request of the service that does it."""
    if kind == "record":
        return "record", SetBool, SetBool.Request(data=bool(value))
    if kind == "snapshot":
        return "snapshot", Trigger, Trigger.Request()
    wanted = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    return "set_parameters", SetParameters, SetParameters.Request(parameters=[Parameter(name=THRESHOLD, value=wanted)])
