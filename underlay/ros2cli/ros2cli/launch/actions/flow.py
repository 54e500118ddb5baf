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

"""`<group>`, `<include>` and `<log>`."""

from __future__ import annotations

from pathlib import Path

from ros2cli.launch import evaluate
from ros2cli.launch.context import Context
from ros2cli.launch.schema import Action, Tag
from ros2cli.launch.values import TypeMismatch, to_bool


def _check_group(action: Action) -> None:
    try:
        to_bool(action.plain("scoped") or "true")
    except TypeMismatch as error:
        raise action.error(f"{error}; substitutions are not allowed here", "scoped") from error


def _group(action: Action, context: Context) -> None:
    """Changes of configurations, environment and namespace end with the group unless `scoped` is false."""
    with context.scoped(to_bool(action.plain("scoped") or "true")):
        evaluate.run_actions(action.body, context)


def _include(action: Action, context: Context) -> None:
    """As in `ros2 launch`, the file has no separate scope: its settings persist unless the include is in a group."""
    passed: dict[str, str] = {}
    for child in (*action.parts.get("arg", []), *action.parts.get("let", [])):
        passed[child.text(context, "name")] = child.text(context, "value")
    path = Path(action.text(context, "file"))
    evaluate.run_file(path, passed, context, included_by=action)


def _log(action: Action, context: Context) -> None:
    context.log("INFO", "launch.user", action.text(context, "message"))


_SETTING = Tag(required=("name", "value"), conditional=False)

TAGS = {
    "group": Tag(optional=("scoped",), plain=("scoped",), body=True, check=_check_group, run=_group),
    "include": Tag(required=("file",), parts={"arg": _SETTING, "let": _SETTING}, run=_include),
    "log": Tag(required=("message",), run=_log),
}
