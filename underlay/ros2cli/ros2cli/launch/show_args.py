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

"""`ros2 launch --show-args`: the arguments of a launch file and of the files it includes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from ros2cli.launch import evaluate
from ros2cli.launch import template as tpl
from ros2cli.launch.actions.configuration import arg_name, description
from ros2cli.launch.context import Context
from ros2cli.launch.errors import LaunchError
from ros2cli.launch.schema import Action


def show_arguments(path: Path) -> str:
    """The text to print. Raises LaunchError for a broken file.

    Included files are read if their paths do not depend on arguments.
    """
    with tempfile.TemporaryDirectory() as folder:
        context = Context.create({}, Path(folder))
        seen: dict[str, str] = {}
        any_conditional = False
        for action, conditional in _arguments(path, context, False):
            if arg_name(action) not in seen:
                any_conditional |= conditional
                seen[arg_name(action)] = _entry(action, conditional)
    lines = ["Arguments (pass arguments as '<name>:=<value>'):", *seen.values()]
    if not seen:
        lines.append("\n  No arguments.")
    elif any_conditional:
        lines.append("\n* argument(s) which are only used if specific conditions occur")
    return "\n".join(lines)


def _entry(action: Action, conditional: bool) -> str:
    text = f"\n    '{arg_name(action)}':{'*' if conditional else ''}\n        {description(action)}"
    if action.has("default"):
        text += f"\n        (default: {tpl.describe(action.templates['default'])})"
    return text


def _arguments(path: Path, context: Context, conditional: bool) -> Iterator[tuple[Action, bool]]:
    actions = evaluate.load(path)
    with context.inside(path):
        for action, depends in evaluate.walk(actions, conditional):
            if action.name == "arg":
                yield action, depends
            elif action.name == "include" and len(context.files) < evaluate.DEEPEST:
                try:
                    inner = Path(action.text(context, "file"))
                    evaluate.load(inner)
                except LaunchError:  # its path depends on an argument, or it is not XML
                    continue
                yield from _arguments(inner, context, depends)
