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

"""`<arg>` and `<let>`: launch configurations, which are read by `$(var name)`."""

from __future__ import annotations

from ros2cli.launch import template as tpl
from ros2cli.launch.context import Context
from ros2cli.launch.schema import Action, Tag


def choices(arg: Action) -> list[str]:
    """The values that an `<arg>` allows; empty = any."""
    return [tpl.unescape(choice.plain("value") or "") for choice in arg.parts.get("choice", [])]


def arg_name(arg: Action) -> str:
    """The name that an `<arg>` declares."""
    return tpl.unescape(arg.plain("name") or "")


def description(arg: Action) -> str:
    """The text that `--show-args` prints."""
    given = arg.plain("description")
    allowed = choices(arg)
    if given is None:
        return f"One of: {allowed}" if allowed else "no description given"
    text = tpl.unescape(given)
    if not allowed:
        return text
    return f"{text if text.endswith('.') else text + '.'} Valid choices are: {allowed}"


def _arg(action: Action, context: Context) -> None:
    name = arg_name(action)
    known = context.scope.configurations
    if name not in known:
        if not action.has("default"):
            raise action.error(f"required argument '{name}' ({description(action)}) was not provided")
        known[name] = action.text(context, "default")
    allowed = choices(action)
    if allowed and known[name] not in allowed:
        raise action.error(f"argument '{name}' is '{known[name]}', valid options are: {allowed}")


def _let(action: Action, context: Context) -> None:
    context.scope.configurations[action.text(context, "name")] = action.text(context, "value")


_CHOICE = Tag(required=("value",), plain=("value",), conditional=False)

TAGS = {
    "arg": Tag(
        required=("name",),
        optional=("default", "description"),
        plain=("name", "description"),
        parts={"choice": _CHOICE},
        run=_arg,
    ),
    "let": Tag(required=("name", "value"), run=_let),
}
