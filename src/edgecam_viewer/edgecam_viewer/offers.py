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

"""The requests that pages may send to the pipeline: one table with node, service and value of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from std_srvs.srv import SetBool, Trigger

from edgecam_viewer.shapes import read_shapes
from edgecam_viewer.text import one_line

THRESHOLD = "confidence_threshold"
QUICK = 5.0  # timeout in seconds to set a value
PER_CAMERA = frozenset(("detector", "camera", "events"))  # one per camera; of the others, a page has one
Value = Any  # float, bool, None, or the shapes of a camera


def _threshold(value: Any) -> float:
    # Compared first, because an integer in JSON may be too large for a float.
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise EdgecamError("a threshold must be a number from 0 to 1")
    return float(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EdgecamError("the value for recording must be true or false")
    return value


def _nothing(_value: Any) -> None:
    return None


def _set_threshold(value: Value) -> SetParameters.Request:
    threshold = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    return SetParameters.Request(parameters=[Parameter(name=THRESHOLD, value=threshold)])


def _set_bool(value: Value) -> SetBool.Request:
    return SetBool.Request(data=bool(value))


def _trigger(_value: Value) -> Trigger.Request:
    return Trigger.Request()


def _first_result(response: Any) -> tuple[bool, str]:
    return bool(response.results[0].successful), str(response.results[0].reason)


def _success(response: Any) -> tuple[bool, str]:
    return bool(response.success), str(response.message)


@dataclass(frozen=True)
class Offer:
    """One request.

    ``node`` is the kind of node that serves it. ``read`` checks the value of the request, ``fill`` builds the service
    request from the value, and ``outcome`` reads success and text from the response. For ``events``, shapes.py does
    the last two. ``timeout`` is in seconds, None for the parameter ``request_timeout``.
    """

    node: str
    service: str
    type: type
    read: Callable[[Any], Value] = _nothing
    fill: Callable[[Value], Any] = _trigger
    outcome: Callable[[Any], tuple[bool, str]] = _success
    timeout: float | None = None


OFFERS: Mapping[str, Offer] = {
    "threshold": Offer("detector", "set_parameters", SetParameters, _threshold, _set_threshold, _first_result, QUICK),
    "record": Offer("camera", "record", SetBool, _switch, _set_bool),
    "snapshot": Offer("camera", "snapshot", Trigger),
    "recorder": Offer("recorder", "record", SetBool, _switch, _set_bool),
    "recorder_snapshot": Offer("recorder", "snapshot", Trigger),
    "keep": Offer("collector", "keep", Trigger),
    "shapes": Offer("events", "get_parameters", GetParameters),
    "set_shapes": Offer("events", "set_parameters_atomically", SetParametersAtomically, read_shapes),
}
# A node of this kind is running if the service of this request is available.
SIGNS = {"camera": "record", "recorder": "recorder", "collector": "keep", "events": "shapes"}


def checked(request: dict[str, Any], cameras: int) -> tuple[str, int, Value]:
    """Type, camera and value of a request such as ``{"type": "threshold", "camera": 0, "value": 0.4}``.

    The camera is 0 for nodes of which a page has one.

    Raises:
        EdgecamError: the request is unknown, the camera does not exist, or the value is invalid.
    """
    kind, camera = request["type"], request.get("camera")
    if kind not in OFFERS:
        raise EdgecamError(f"{one_line(kind, 40)!r} is not a known request; known are {', '.join(OFFERS)}")
    offer = OFFERS[kind]
    if offer.node not in PER_CAMERA:
        return kind, 0, offer.read(request.get("value"))
    if type(camera) is not int or not 0 <= camera < cameras:
        raise EdgecamError(f"this camera does not exist; there are cameras 0 to {cameras - 1}")
    return kind, camera, offer.read(request.get("value"))
