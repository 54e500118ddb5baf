"""Settings tables as ROS parameters: one declaration in the core, descriptors and checks here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from edgecam_core.errors import EdgecamError, SettingError, UnknownSetting
from edgecam_core.settings import Settings, Spec
from rcl_interfaces.msg import ParameterDescriptor, ParameterType, SetParametersResult
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
    """What ``ros2 param describe`` shows of a setting.

    Types and ranges are checked by :meth:`Spec.check`, whose message names the value and what would work; rclpy's
    own check of a described range or type would come first and say less (and refuse ``framerate:=30`` for a
    double), so typing is dynamic and the range is described as text.
    """
    return ParameterDescriptor(
        name=spec.name,
        type=_SCALARS[spec.item_type] + (_ARRAY_OFFSET if spec.is_list else 0),
        description=spec.text,
        additional_constraints=spec.range_text(),
        read_only=not spec.runtime,
        dynamic_typing=True,
    )


def declare(node: Node, settings_type: type[S]) -> S:
    """Declare every setting as a parameter of the node and give the checked settings.

    Raises:
        SettingError: a value given on the command line or in a file cannot work.
    """
    values = {}
    for name, spec in settings_type.specs().items():
        default = list(spec.default) if spec.is_list else spec.default
        values[name] = node.declare_parameter(name, default, descriptor(spec)).value
        if values[name] is None:  # an empty list in YAML has no type
            values[name] = ()
    return settings_type.from_mapping(values)


def refuse_unknown(node: Node, open_prefixes: tuple[str, ...] = (), neighbours: frozenset[str] = frozenset()) -> None:
    """Refuse parameters that were given (command line, YAML) but declared by nobody: most often a typing mistake.

    ``neighbours`` are names that other nodes of this process declare: a parameter file is for all of them.

    Raises:
        UnknownSetting: with the nearest declared names.
    """
    # rclpy has no public way to see undeclared overrides without declaring them all.
    for name in getattr(node, "_parameter_overrides", {}):
        if name in neighbours:
            continue
        if not node.has_parameter(name) and not name.startswith(("qos_overrides.", *open_prefixes)):
            known = node.get_parameters_by_prefix("")
            raise UnknownSetting(name, [declared for declared in known if not declared.startswith("qos_overrides.")])


def changed(settings: S, parameters: Iterable[Parameter]) -> S:
    """The settings with new parameter values; names that are not settings (use_sim_time, ...) are passed over.

    Raises:
        SettingError: a value that cannot work, or a setting that is fixed once the node runs.
    """
    specs = settings.specs()
    changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in specs}
    for name, value in changes.items():
        if not specs[name].runtime:
            raise SettingError(name, value, "is fixed while the node runs; restart the node with the new value")
    return settings.changed(**changes)


def refused(error: EdgecamError) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=str(error))
