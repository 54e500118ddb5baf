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

"""`<set_env>`, `<unset_env>`, `<append_env>`: set the environment of subsequent processes in the scope."""

from __future__ import annotations

import os

from ros2cli.launch.context import Context
from ros2cli.launch.schema import Action, Tag
from ros2cli.launch.values import TypeMismatch, to_bool


def _set_env(action: Action, context: Context) -> None:
    context.scope.environment[action.text(context, "name")] = action.text(context, "value")


def _unset_env(action: Action, context: Context) -> None:
    context.scope.environment.pop(action.text(context, "name"), None)


def _append_env(action: Action, context: Context) -> None:
    name, value = action.text(context, "name"), action.text(context, "value")
    separator = action.text(context, "separator") if action.has("separator") else os.pathsep
    try:
        prepend = to_bool(action.optional(context, "prepend") or "false")
    except TypeMismatch as error:
        raise action.error(str(error), "prepend") from error
    environment = context.scope.environment
    if name in environment:
        parts = (value, environment[name]) if prepend else (environment[name], value)
        value = separator.join(parts)
    environment[name] = value


TAGS = {
    "set_env": Tag(required=("name", "value"), run=_set_env),
    "unset_env": Tag(required=("name",), run=_unset_env),
    "append_env": Tag(required=("name", "value"), optional=("prepend", "separator"), run=_append_env),
}
