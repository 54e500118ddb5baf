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

"""The substitutions. To add one, decorate a function with `@substitution`."""

from __future__ import annotations

import importlib
import math
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ros2cli import ament_index
from ros2cli.errors import NotFound
from ros2cli.launch.errors import SubstitutionError
from ros2cli.launch.template import Call, Template
from ros2cli.launch.values import TypeMismatch, to_bool

if TYPE_CHECKING:
    from ros2cli.launch.context import Context

Performer = Callable[..., str]


@dataclass(frozen=True)
class Substitution:
    """The allowed number of arguments, and the function that performs the substitution."""

    least: int
    most: int
    function: Performer


SUBSTITUTIONS: dict[str, Substitution] = {}

UNSUPPORTED = {
    "any": "use $(or …)", "all": "use $(and …)", "optenv": "use $(env NAME DEFAULT)",
    "file-content": "use $(command 'cat FILE')",
}  # fmt: skip


def substitution(*names: str, arguments: int | tuple[int, int]) -> Callable[[Performer], Performer]:
    """Register a function `(context, *templates)`."""
    least, most = (arguments, arguments) if isinstance(arguments, int) else arguments

    def register(function: Performer) -> Performer:
        for name in names:
            SUBSTITUTIONS[name] = Substitution(least, most, function)
        return function

    return register


def check(call: Call) -> None:
    """Raise SubstitutionError for an unknown substitution or a wrong number of arguments."""
    entry = SUBSTITUTIONS.get(call.name)
    if entry is None:
        hint = UNSUPPORTED.get(call.name)
        reason = f"not supported here, {hint}" if hint else f"known are {', '.join(sorted(SUBSTITUTIONS))}"
        raise SubstitutionError(f"unknown substitution $({call.name} …): {reason}")
    count = len(call.arguments)
    if not entry.least <= count <= entry.most:
        expected = str(entry.least) if entry.least == entry.most else f"{entry.least} to {entry.most}"
        raise SubstitutionError(
            f"$({call.name} …) takes {expected} argument(s), got {count} (quote arguments that contain spaces)"
        )


def perform(context: Context, call: Call) -> str:
    """The text of a substitution. Raises SubstitutionError."""
    try:
        return SUBSTITUTIONS[call.name].function(context, *call.arguments)
    except NotFound as error:
        raise SubstitutionError(f"$({call.name} …): {error}") from error


def _boolean(context: Context, template: Template) -> bool:
    try:
        return to_bool(context.text(template))
    except TypeMismatch as error:
        raise SubstitutionError(str(error)) from error


def _boolean_text(value: bool) -> str:
    return str(value).lower()


@substitution("var", arguments=(1, 2))
def _var(context: Context, name: Template, default: Template | None = None) -> str:
    key = context.text(name)
    if key in context.scope.configurations:
        return context.scope.configurations[key]
    if default is None:
        raise SubstitutionError(f"launch configuration '{key}' does not exist: no <arg> or <let> has set it")
    return context.text(default)


@substitution("env", arguments=(1, 2))
def _env(context: Context, name: Template, default: Template | None = None) -> str:
    key = context.text(name)
    if key in context.scope.environment:
        return context.scope.environment[key]
    if default is None:
        raise SubstitutionError(f"environment variable '{key}' does not exist")
    return context.text(default)


@substitution("find-pkg-prefix", arguments=1)
def _find_pkg_prefix(context: Context, package: Template) -> str:
    return str(ament_index.package_prefix(context.text(package), context.scope.environment))


@substitution("find-pkg-share", arguments=1)
def _find_pkg_share(context: Context, package: Template) -> str:
    return str(ament_index.package_share(context.text(package), context.scope.environment))


@substitution("exec-in-pkg", arguments=2)
def _exec_in_pkg(context: Context, executable: Template, package: Template) -> str:
    return executable_in_package(context, context.text(package), context.text(executable))


def executable_in_package(context: Context, package: str, executable: str) -> str:
    """The path of `<prefix>/lib/<package>/<executable>`. Raises NotFound."""
    prefix = ament_index.package_prefix(package, context.scope.environment)
    folder = prefix / "lib" / package
    if not folder.is_dir():
        raise NotFound(f"package '{package}' found at '{prefix}', but libexec directory '{folder}' does not exist")
    found = shutil.which(executable, path=str(folder))
    if found is None:
        present = sorted(path.name for path in folder.iterdir() if os.access(path, os.X_OK))
        raise NotFound(f"executable '{executable}' not found in '{folder}', which has: {', '.join(present) or 'none'}")
    return found


@substitution("find-exec", arguments=1)
def _find_exec(context: Context, name: Template) -> str:
    program = context.text(name)
    found = shutil.which(program, path=context.scope.environment.get("PATH"))
    if found is None:
        raise SubstitutionError(f"executable '{program}' not found on the PATH")
    return found


@substitution("dirname", arguments=0)
def _dirname(context: Context) -> str:
    return os.path.dirname(os.path.abspath(context.file))


@substitution("filename", arguments=0)
def _filename(context: Context) -> str:
    return os.path.abspath(context.file)


@substitution("launch_log_dir", "log_dir", arguments=0)
def _log_dir(context: Context) -> str:
    if context.log_dir is None:
        raise SubstitutionError("there is no log directory in this run")
    return str(context.log_dir)


@substitution("eval", arguments=(1, 2))
def _eval(context: Context, expression: Template, modules: Template | None = None) -> str:
    """Evaluate Python; `math` and its names are available unless other modules are listed."""
    names = ["math"] if modules is None else [name.strip() for name in context.text(modules).split(",")]
    code = context.text(expression)
    try:
        local: dict[str, object] = {}
        for name in filter(None, names):
            local[name] = importlib.import_module(name)
        if "math" in local:
            local = {**vars(math), **local}
        return str(eval(code, {}, local))
    except Exception as error:
        raise SubstitutionError(f"$(eval {code!r}): {type(error).__name__}: {error}") from error


@substitution("anon", arguments=1)
def _anon(context: Context, name: Template) -> str:
    """Within a scope, the same name has the same result."""
    prefix = context.text(name)
    known = context.scope.configurations
    if "anon" + prefix not in known:
        unique = f"{prefix}_{socket.gethostname()}_{os.getpid()}_{random.randint(0, sys.maxsize)}"
        known["anon" + prefix] = unique.replace(".", "_").replace("-", "_").replace(":", "_")
    return known["anon" + prefix]


@substitution("command", arguments=(1, 2))
def _command(context: Context, command: Template, on_stderr: Template | None = None) -> str:
    """The standard output of a command (run without a shell, without a time limit)."""
    line = context.text(command)
    policy = "fail" if on_stderr is None else context.text(on_stderr)
    if policy not in ("fail", "ignore", "warn", "capture"):
        raise SubstitutionError(f"on_stderr is '{policy}', expected fail, ignore, warn or capture")
    try:
        done = subprocess.run(
            shlex.split(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if policy == "capture" else subprocess.PIPE,
            text=True,
            env=context.scope.environment,
            check=False,
        )
    except (OSError, ValueError) as error:
        raise SubstitutionError(f"$(command '{line}'): {error}") from error
    if done.returncode != 0:
        raise SubstitutionError(f"$(command '{line}') failed with exit code {done.returncode}: {done.stderr or ''}")
    if done.stderr and policy == "fail":
        raise SubstitutionError(f"$(command '{line}') wrote to stderr: {done.stderr}")
    if done.stderr and policy == "warn":
        context.log("WARNING", "launch", f"$(command '{line}') wrote to stderr: {done.stderr}")
    return done.stdout


@substitution("not", arguments=1)
def _not(context: Context, value: Template) -> str:
    return _boolean_text(not _boolean(context, value))


@substitution("and", arguments=2)
def _and(context: Context, left: Template, right: Template) -> str:
    values = _boolean(context, left), _boolean(context, right)
    return _boolean_text(all(values))


@substitution("or", arguments=2)
def _or(context: Context, left: Template, right: Template) -> str:
    values = _boolean(context, left), _boolean(context, right)
    return _boolean_text(any(values))


@substitution("equals", arguments=2)
def _equals(context: Context, left: Template, right: Template) -> str:
    return _boolean_text(_same(context.text(left), context.text(right)))


@substitution("not-equals", arguments=2)
def _not_equals(context: Context, left: Template, right: Template) -> str:
    return _boolean_text(not _same(context.text(left), context.text(right)))


def _same(left: str, right: str) -> bool:
    """Compare as booleans if both are, otherwise as numbers if both are, otherwise as text."""
    truths = {"true": True, "1": True, "false": False, "0": False}
    if left.lower() in truths and right.lower() in truths:
        return truths[left.lower()] == truths[right.lower()]
    try:
        return math.isclose(float(left), float(right))
    except ValueError:
        return left == right


@substitution("if", arguments=(2, 3))
def _if(context: Context, condition: Template, yes: Template, no: Template = ()) -> str:
    return context.text(yes if _boolean(context, condition) else no)


@substitution("param", arguments=(1, 2))
def _param(context: Context, name: Template, default: Template | None = None) -> str:
    """A parameter set by `<set_parameter>`."""
    parameter = context.text(name)
    for key, value in context.scope.parameters:
        if key == parameter:
            return str(value)
    if default is None:
        raise SubstitutionError(f"parameter '{parameter}' was not set by <set_parameter>")
    return context.text(default)
