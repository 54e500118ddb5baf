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

"""Declares settings as ROS parameters: the core defines the settings, this module descriptors and checks."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from edgecam_core.errors import EdgecamError, SettingError, UnknownSetting
from edgecam_core.settings import Settings, Spec
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

S = TypeVar("S", bound=Settings)
_SCALARS = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_ARRAY_OFFSET = ParameterType.PARAMETER_BOOL_ARRAY - ParameterType.PARAMETER_BOOL  # BYTE_ARRAY lies between


def descriptor(spec: Spec) -> ParameterDescriptor:
    """The descriptor shown by ``ros2 param describe``, with a numeric range for the sliders of rqt and Foxglove.

    rclpy also checks the range, but its error says less than that of :meth:`Spec.check`, which therefore runs first
    (see :func:`typed`).
    """
    described = ParameterDescriptor(
        name=spec.name,
        type=ros_type(spec).value,
        description=spec.text,
        additional_constraints=spec.range_text(),
        read_only=not spec.runtime,
    )
    if not spec.is_list and (spec.low is not None or spec.high is not None):
        if spec.item_type is float:
            low, high = _ends(spec, -sys.float_info.max, sys.float_info.max)
            described.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
        elif spec.item_type is int:
            low, high = _ends(spec, -(2**63), 2**63 - 1)
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return described


def _ends(spec: Spec, lowest: float, highest: float) -> tuple[float, float]:
    return lowest if spec.low is None else spec.low, highest if spec.high is None else spec.high


def ros_type(spec: Spec) -> Parameter.Type:
    return Parameter.Type(_SCALARS[spec.item_type] + (_ARRAY_OFFSET if spec.is_list else 0))


def typed(spec: Spec, value: object) -> Parameter:
    """The value as a parameter of the declared type: 15 for a double becomes 15.0, an empty list gets its type.

    Raises:
        SettingError: the value is invalid.
    """
    checked = spec.check(() if value is None and spec.is_list else value)
    return Parameter(spec.name, ros_type(spec), list(checked) if spec.is_list else checked)


def declare(node: Node, settings_type: type[S]) -> S:
    """Declare every setting as a parameter of the node and return the checked settings.

    Raises:
        SettingError: a value from the command line or a file is invalid.
    """
    # rclpy does not convert types, so 15 becomes 15.0 here.
    overrides = getattr(node, "_parameter_overrides", {})
    values: dict[str, object] = {}
    for name, spec in settings_type.specs().items():
        overrides[name] = parameter = typed(spec, overrides[name].value if name in overrides else spec.default)
        values[name] = parameter.value
        if parameter.value == []:
            _declare_empty(node, parameter, descriptor(spec))
        else:
            node.declare_parameter(name, ros_type(spec), descriptor(spec))
    return settings_type.from_mapping(values)


def _declare_empty(node: Any, parameter: Parameter, described: ParameterDescriptor) -> None:
    """Declare an empty list. rclpy treats it as a byte array, so its two tables are corrected afterwards."""
    node.declare_parameter(parameter.name, [], ParameterDescriptor(dynamic_typing=True))
    node._parameters[parameter.name] = parameter
    node._descriptors[parameter.name] = described


def refuse_unknown(node: Node, open_prefixes: tuple[str, ...] = (), neighbours: frozenset[str] = frozenset()) -> None:
    """Refuse given parameters (command line, YAML) that are not declared, most often typing errors.

    ``neighbours`` are parameters of other nodes in this process, which use the same parameter file.

    Raises:
        UnknownSetting: a parameter is not declared; the text suggests the closest names.
    """
    # rclpy has no public API for undeclared overrides without declaring them all.
    for name in getattr(node, "_parameter_overrides", {}):
        if name in neighbours:
            continue
        if not node.has_parameter(name) and not name.startswith(("qos_overrides.", *open_prefixes)):
            known = node.get_parameters_by_prefix("")
            raise UnknownSetting(name, [declared for declared in known if not declared.startswith("qos_overrides.")])


def changed(settings: S, parameters: Iterable[Parameter]) -> S:
    """The settings with new parameter values; ignores names that are not settings (use_sim_time, ...).

    Raises:
        SettingError: a value is invalid, or a setting cannot change while the node runs.
    """
    specs = settings.specs()
    changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in specs}
    for name, value in changes.items():
        if not specs[name].runtime:
            raise SettingError(name, value, "cannot change while the node runs; restart the node with the new value")
    return settings.changed(**changes)


def prepared(settings: Settings, parameters: Iterable[Parameter], known: Iterable[str]) -> list[Parameter]:
    """The parameters of a request with their declared types; ``known`` are the declared names.

    Raises:
        UnknownSetting: a name is not declared; the text suggests the closest names.
        SettingError: a value is invalid, or a setting cannot change while the node runs.
    """
    requested, names, specs = list(parameters), set(known), settings.specs()
    for parameter in requested:
        if parameter.name not in names:
            raise UnknownSetting(parameter.name, [name for name in names if not name.startswith("qos_overrides.")])
    changed(settings, requested)
    return [typed(specs[one.name], one.value) if one.name in specs else one for one in requested]


def refused(error: EdgecamError) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=str(error))
