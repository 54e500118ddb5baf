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

"""`<node>`: an executable of a package with a name, a namespace, parameters and remappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ros2cli.errors import NotFound
from ros2cli.launch import template as tpl
from ros2cli.launch.actions.process import (
    ENV,
    OPTIONS,
    PLAIN,
    check,
    process_spec,
    split_arguments,
)
from ros2cli.launch.context import Context
from ros2cli.launch.errors import SubstitutionError
from ros2cli.launch.ros_names import full_name, join_namespace, valid_namespace, valid_node_name
from ros2cli.launch.schema import Action, Tag
from ros2cli.launch.substitutions import check as check_substitution
from ros2cli.launch.substitutions import executable_in_package
from ros2cli.launch.values import TYPES, TypedValue, TypeMismatch, to_bool


def _node(action: Action, context: Context) -> None:
    name, namespace = _names(action, context)
    command = [_program(action, context)]
    command += [action.perform(context, part, "args") for part in split_arguments(action, "args")]
    if action.has("ros_args"):
        extra = [action.perform(context, part, "ros_args") for part in split_arguments(action, "ros_args")]
        command += ["--ros-args", *extra]
    command.append("--ros-args")
    if name is not None:
        command += ["-r", f"__node:={name}"]
    if namespace is not None:
        command += ["-r", f"__ns:={namespace}"]
    for key, value in context.scope.parameters:
        command += ["-p", f"{key}:={value}"]
    full = full_name(namespace, name) if name is not None and namespace is not None else None
    for param in action.parts.get("param", []):
        command += ["--params-file", str(_params_file(param, context, full or "/**"))]
    remaps = tuple((remap.text(context, "from"), remap.text(context, "to")) for remap in action.parts.get("remap", []))
    for source, target in context.scope.remaps + remaps:
        command += ["-r", f"{source}:={target}"]
    spec = process_spec(action, context, command, action.optional(context, "exec_name"))
    context.processes.append(spec)
    if full is not None:
        _warn_if_duplicate(full, spec.name, context)


def _names(action: Action, context: Context) -> tuple[str | None, str | None]:
    name = action.optional(context, "name")
    if name is not None and not valid_node_name(name):
        raise action.error(f"'{name}' is not a valid node name (letters, digits and _, no digit first)", "name")
    namespace = join_namespace(context.scope.namespace, action.optional(context, "namespace"))
    if namespace is not None and not valid_namespace(namespace):
        raise action.error(f"'{namespace}' is not a valid namespace", "namespace")
    return name, namespace


def _program(action: Action, context: Context) -> str:
    executable = action.text(context, "exec")
    if not action.has("pkg"):
        return executable
    try:
        return executable_in_package(context, action.text(context, "pkg"), executable)
    except NotFound as error:
        raise action.error(str(error)) from error


def _warn_if_duplicate(full: str, label: str, context: Context) -> None:
    count = context.node_names[full] = context.node_names.get(full, 0) + 1
    if count > 1:
        context.log(
            "WARNING",
            label,
            f"there are now at least {count} nodes with the name {full} created within this launch context",
        )


def _check_param(param: Action) -> None:
    """A `<param>` is a file, a name with a value, or a name with nested params."""
    given = set(param.element.attributes)
    nested = bool(param.parts.get("param"))
    if "from" in given:
        wrong = given - {"from", "allow_substs"}
        if wrong or nested:
            raise param.error(f"'from' cannot be combined with {', '.join(sorted(wrong)) or 'child params'}")
        return
    if "name" not in given:
        raise param.error("needs a 'name' or a 'from' attribute")
    if "allow_substs" in given:
        raise param.error("'allow_substs' works only with 'from'")
    if nested == ("value" in given):
        raise param.error("needs either a 'value' or child params")
    if nested and given - {"name"}:
        raise param.error("'type' and 'value-sep' require 'value'")
    if (param.plain("type") or "yaml") not in TYPES:
        raise param.error(f"'{param.plain('type')}' is not a type, known are: {', '.join(TYPES)}", "type")
    if not nested:
        param.inner += _typed_value(param).templates()


def _typed_value(param: Action) -> TypedValue:
    text, kind = param.plain("value") or "", param.plain("type") or "yaml"
    try:
        value = TypedValue.parse(text, kind, param.plain("value-sep"))
        for template in value.templates():
            for call in tpl.calls(template):
                check_substitution(call)
    except (TypeMismatch, SubstitutionError) as error:
        raise param.error(str(error), "value") from error
    return value


def _params_file(param: Action, context: Context, node: str) -> Path:
    """The parameter file for one `<param>`: the given one, or a temporary one."""
    if param.has("from"):
        return _given_file(param, context)
    flat: dict[str, Any] = {}
    _flatten(param, context, "", flat)
    text = yaml.safe_dump({node: {"ros__parameters": flat}}, default_flow_style=False, allow_unicode=True)
    return context.write_temporary(text)


def _flatten(param: Action, context: Context, prefix: str, into: dict[str, Any]) -> None:
    name = prefix + param.text(context, "name")
    for child in param.parts.get("param", []):
        _flatten(child, context, name + ".", into)
    if param.has("value"):
        try:
            into[name] = _typed_value(param).evaluate(lambda part: param.perform(context, part, "value"))
        except TypeMismatch as error:
            raise param.error(str(error), "value") from error


def _given_file(param: Action, context: Context) -> Path:
    path = Path(param.text(context, "from"))
    if not path.is_file():
        raise param.error(f"there is no parameter file '{path}'", "from")
    try:
        if not to_bool(param.optional(context, "allow_substs") or "false"):
            return path
    except TypeMismatch as error:
        raise param.error(str(error), "allow_substs") from error
    try:
        template = tpl.parse(path.read_text(encoding="utf-8"))
        for call in tpl.calls(template):
            check_substitution(call)
            if call.name == "var":
                context.names[-1].used.add(tpl.literal(call.arguments[0]) or "")
        text = context.text(template)
        yaml.safe_load(text)
    except (SubstitutionError, NotFound, TypeMismatch) as error:
        raise param.error(f"'{path}': {error}", "from") from error
    except yaml.YAMLError as error:
        raise param.error(f"'{path}' is not valid YAML after substitution: {error}", "from") from error
    return context.write_temporary(text)


_PARAM_ATTRIBUTES = ("name", "value", "value-sep", "type")
_NESTED = Tag(optional=_PARAM_ATTRIBUTES, plain=("value", "value-sep", "type"), conditional=False, check=_check_param)
_NESTED.parts["param"] = _NESTED  # type: ignore[index]
_PARAM = Tag(
    optional=(*_PARAM_ATTRIBUTES, "from", "allow_substs"),
    plain=_NESTED.plain,
    parts={"param": _NESTED},
    conditional=False,
    check=_check_param,
)

TAGS = {
    "node": Tag(
        required=("exec",),
        optional=("pkg", "name", "namespace", "exec_name", "args", "ros_args", *OPTIONS),
        plain=PLAIN,
        parts={"env": ENV, "param": _PARAM, "remap": Tag(required=("from", "to"), conditional=False)},
        check=check,
        run=_node,
    ),
}
