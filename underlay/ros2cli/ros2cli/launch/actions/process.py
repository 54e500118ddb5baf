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

"""`<executable>`, and the conversion to a ProcessSpec, which `<node>` shares."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from ros2cli.launch import template as tpl
from ros2cli.launch.context import Context
from ros2cli.launch.plan import ProcessSpec
from ros2cli.launch.schema import Action, Tag
from ros2cli.launch.values import TypeMismatch, to_bool

NUMBERS = ("respawn_delay", "sigterm_timeout", "sigkill_timeout")
OPTIONS = ("cwd", "launch-prefix", "output", "respawn", "respawn_max_retries", "on_exit", "shell", *NUMBERS)
PLAIN = ("respawn_max_retries", "on_exit", "shell", *NUMBERS)
OUTPUTS = ("screen", "log", "both", "own_log", "full")

ENV = Tag(required=("name", "value"), conditional=False)


def check(action: Action) -> None:
    """Check the attributes that allow no substitutions. Raises LaunchError."""
    for attribute in NUMBERS:
        _number(action, attribute, float)
    _number(action, "respawn_max_retries", int)
    if action.plain("on_exit") not in (None, "shutdown"):
        raise action.error(f"is '{action.plain('on_exit')}'; only 'shutdown' is known", "on_exit")
    try:
        to_bool(action.plain("shell") or "false")
    except TypeMismatch as error:
        raise action.error(str(error), "shell") from error


def _number(action: Action, attribute: str, kind: type) -> Any:
    text = action.plain(attribute)
    if text is None:
        return None
    try:
        value = kind(text)
    except ValueError as error:
        raise action.error(f"'{text}' is not a number; substitutions are not allowed here", attribute) from error
    if kind is float and not value >= 0.0:
        raise action.error(f"is {text}, must not be negative", attribute)
    return value


def split_arguments(action: Action, attribute: str) -> list[tpl.Template]:
    """Split an attribute like a shell; the result of a substitution is never split."""
    arguments: list[list[tpl.Text | tpl.Call]] = []
    joined = False  # whether the next part belongs to the last argument

    def add(part: tpl.Text | tpl.Call) -> None:
        if joined:
            arguments[-1].append(part)
        else:
            arguments.append([part])

    for part in action.templates.get(attribute, ()):
        if isinstance(part, tpl.Call):
            add(part)
            joined = True
            continue
        try:
            words = shlex.split(part.value)
        except ValueError as error:
            raise action.error(f"{error} in '{part.value}' (quotes cannot hold a substitution)", attribute) from error
        joined = joined and not part.value[:1].isspace()
        for word in words:
            add(tpl.Text(word))
            joined = False
        joined = bool(words) and not part.value[-1:].isspace()
    return [tuple(argument) for argument in arguments]


def environment_of(action: Action, context: Context) -> dict[str, str]:
    """The scope's environment, overridden by the tag's `<env>` children."""
    own = {env.text(context, "name"): env.text(context, "value") for env in action.parts.get("env", [])}
    return {**context.scope.environment, **own}


def process_spec(action: Action, context: Context, command: list[str], name: str | None) -> ProcessSpec:
    """The ProcessSpec of either tag. Raises LaunchError if the command cannot be started."""
    environment = environment_of(action, context)
    shell = to_bool(action.plain("shell") or "false")
    command = _with_prefix(action, context, command)
    cwd = action.optional(context, "cwd")
    if cwd is not None and not Path(cwd).is_dir():
        raise action.error(f"'{cwd}' is not a directory", "cwd")
    if not shell:
        _check_startable(action, command, cwd, environment)
    label = name or os.path.basename(command[0])
    retries = _number(action, "respawn_max_retries", int)
    return ProcessSpec(
        name=f"{label}-{len(context.processes) + 1}",
        command=tuple(command),
        environment=environment,
        cwd=cwd,
        shell=shell,
        output=_output(action, context),
        respawn=_respawn(action, context),
        respawn_delay=_number(action, "respawn_delay", float) or 0.0,
        respawn_max_retries=-1 if retries is None else retries,
        sigterm_timeout=_timeout(action, context, "sigterm_timeout"),
        sigkill_timeout=_timeout(action, context, "sigkill_timeout"),
        required=action.plain("on_exit") == "shutdown",
    )


def _with_prefix(action: Action, context: Context, command: list[str]) -> list[str]:
    """Prepend the tag's `launch-prefix`, otherwise the launch argument if its filter matches."""
    prefix = action.optional(context, "launch-prefix")
    known = context.scope.configurations
    if prefix is None:
        pattern = known.get("launch-prefix-filter", "")
        if re.match(pattern, os.path.basename(command[0])):
            prefix = known.get("launch-prefix", "")
    try:
        return shlex.split(prefix or "") + command
    except ValueError as error:
        raise action.error(f"{error} in '{prefix}'", "launch-prefix") from error


def _check_startable(action: Action, command: list[str], cwd: str | None, environment: dict[str, str]) -> None:
    program = command[0]
    if "/" in program:
        path = os.path.join(cwd or os.getcwd(), program)
        found = os.path.isfile(path) and os.access(path, os.X_OK)
    else:
        found = shutil.which(program, path=environment.get("PATH")) is not None
    if not found:
        raise action.error(f"there is no executable '{program}'")


def _output(action: Action, context: Context) -> str:
    value = context.scope.environment.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT") or action.optional(context, "output")
    if value is None:
        return "log"
    if value not in OUTPUTS:
        raise action.error(f"'{value}' is not a valid output, known are: {', '.join(OUTPUTS)}", "output")
    return value


def _respawn(action: Action, context: Context) -> bool:
    try:
        return to_bool(action.optional(context, "respawn") or "false")
    except TypeMismatch as error:
        raise action.error(str(error), "respawn") from error


def _timeout(action: Action, context: Context, name: str) -> float:
    own = _number(action, name, float)
    if own is not None:
        return float(own)
    text = context.scope.configurations.get(name, "5")
    try:
        return float(text)
    except ValueError as error:
        raise action.error(f"launch configuration '{name}' is '{text}', not a number of seconds") from error


def _executable(action: Action, context: Context) -> None:
    command = [action.perform(context, part, "cmd") for part in split_arguments(action, "cmd")]
    if not command:
        raise action.error("is empty", "cmd")
    context.processes.append(process_spec(action, context, command, action.optional(context, "name")))


TAGS = {
    "executable": Tag(
        required=("cmd",),
        optional=("name", *OPTIONS),
        plain=PLAIN,
        parts={"env": ENV},
        check=check,
        run=_executable,
    ),
}
