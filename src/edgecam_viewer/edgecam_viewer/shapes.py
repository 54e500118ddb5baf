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

"""Zones and lines drawn on the page: parameters of the events node, and ``regions`` of the detector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecam_core.errors import EdgecamError
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParametersAtomically

from edgecam_viewer.service_calls import ServiceCalls

SHAPES = ("zones", "lines")  # of the events node
REGIONS = ("regions",)  # of the detector
MAX_SHAPES, MAX_TEXT = 200, 5000
CHANGED = "zones or lines have been changed elsewhere: close the drawing and open it again"
Values = dict[str, list[str]]
Say = Callable[[bool, str, Any], None]


def read_shapes(value: Any) -> dict[str, Values]:
    """The value of a request that sets shapes: ``{"before": {...}, "after": {...}}``.

    Each contains ``zones``, ``lines`` and ``regions``: lists of texts, as in the parameters.

    Raises:
        EdgecamError: the value has another form.
    """
    names = {*SHAPES, *REGIONS}
    if not isinstance(value, dict) or set(value) != {"before", "after"}:
        raise EdgecamError("shapes must be an object with 'before' and 'after'")
    for side in value.values():
        if not isinstance(side, dict) or set(side) != names or not all(map(_is_texts, side.values())):
            raise EdgecamError(f"shapes must be {', '.join(sorted(names))}: lists of up to {MAX_SHAPES} texts")
    return dict(value)


def _is_texts(value: Any) -> bool:
    short = isinstance(value, list) and len(value) <= MAX_SHAPES
    return short and all(isinstance(one, str) and len(one) <= MAX_TEXT for one in value)


class ShapeControl:
    """Reads and sets shapes with the parameter services of the nodes; use on the executor's thread only."""

    def __init__(self, calls: ServiceCalls, timeout: float) -> None:
        self._calls = calls
        self._timeout = timeout  # seconds for each call

    def read(self, events: str, detector: str, say: Say) -> None:
        """Pass the values to ``say``; ``regions`` is missing if there is no detector."""

        def done(values: Values) -> None:
            if not detector or not self._calls.ready(detector, "get_parameters", GetParameters):
                say(True, "", values)
                return
            self._get(detector, REGIONS, lambda more: say(True, "", values | more), say)

        self._get(events, SHAPES, done, say)

    def write(self, events: str, detector: str, value: dict[str, Values], say: Say) -> None:
        """Set ``after`` if the node still has ``before``; then set the detector's regions."""
        before, after = value["before"], value["after"]

        def compare(found: Values) -> None:
            if any(found[name] != before[name] for name in SHAPES):
                say(False, CHANGED, None)
            elif all(after[name] == before[name] for name in SHAPES):
                regions()
            else:
                self._set(events, {name: after[name] for name in SHAPES}, regions, say)

        def regions() -> None:
            if after["regions"] == before["regions"]:
                say(True, "", None)
            elif not detector:
                say(False, "this camera has no detector (parameter 'detector_nodes')", None)
            else:
                self._set(detector, {"regions": after["regions"]}, lambda: say(True, "", None), say)

        self._get(events, SHAPES, compare, say)

    def _get(self, node: str, names: tuple[str, ...], done: Callable[[Values], None], say: Say) -> None:
        def got(response: Any) -> None:
            if len(response.values) != len(names):
                say(False, f"node {node!r} has no parameters {', '.join(names)}", None)
                return
            done({name: list(one.string_array_value) for name, one in zip(names, response.values, strict=True)})

        self._call(node, "get_parameters", GetParameters, GetParameters.Request(names=list(names)), got, say)

    def _set(self, node: str, values: Values, done: Callable[[], None], say: Say) -> None:
        def answered(response: Any) -> None:
            result = response.result
            if result.successful:
                done()
            else:
                say(False, f"node {node!r} refused the shapes: {result.reason}", None)

        kind = ParameterType.PARAMETER_STRING_ARRAY
        parameters = [
            Parameter(name=name, value=ParameterValue(type=kind, string_array_value=texts))
            for name, texts in values.items()
        ]
        request = SetParametersAtomically.Request(parameters=parameters)
        self._call(node, "set_parameters_atomically", SetParametersAtomically, request, answered, say)

    def _call(self, node: str, service: str, kind: type, request: Any, done: Callable[[Any], None], say: Say) -> None:
        if not self._calls.ready(node, service, kind):
            say(False, f"node {node!r} is not running", None)
            return

        def failed(error: EdgecamError) -> None:
            say(False, str(error), None)

        self._calls.send(object(), node, service, kind, request, done, failed, self._timeout)
