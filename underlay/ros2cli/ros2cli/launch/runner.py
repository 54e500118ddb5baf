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

"""Runs a launch file, or prints what it would start."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ros2cli.launch import evaluate
from ros2cli.launch.console import Console, log_root, make_log_dir
from ros2cli.launch.context import Context
from ros2cli.launch.errors import LaunchError
from ros2cli.launch.guardian import Guardian
from ros2cli.launch.supervisor import Supervisor, die_by


def parse_arguments(words: Iterable[str]) -> dict[str, str]:
    """`name:=value` words; of duplicates, the last is used. Raises LaunchError."""
    arguments: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not name or not separator or not value:
            raise LaunchError(f"malformed launch argument '{word}', expected format '<name>:=<value>'")
        arguments[name] = value
    return arguments


def launch(path: Path, arguments: Mapping[str, str], debug: bool = False) -> int:
    """Run a launch file until all its processes have ended. Blocks and handles signals. Returns the exit code, 0 or 1.

    After SIGTERM or SIGHUP it stops everything and then ends this process by the same signal.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    log_dir, problem = _log_dir()
    console = Console(log_dir, debug)
    if problem:
        console.log("WARNING", "launch", problem)
    else:
        console.log("INFO", "launch", f"All log files can be found below {log_dir}")
    level = "DEBUG" if debug else "INFO"
    console.log("INFO", "launch", f"Default logging verbosity is set to {level}")
    with tempfile.TemporaryDirectory(prefix="launch_params_") as folder:
        context = Context.create(arguments, Path(folder), log_dir, console.log)
        try:
            evaluate.run_file(path, arguments, context)
        except LaunchError as error:
            console.log("ERROR", "launch", str(error))
            return 1
        guardian = Guardian(Path(folder))
        supervisor = Supervisor(context.processes, console, guardian)
        try:
            code = supervisor.run()
        finally:
            guardian.close()
            console.close()
    if supervisor.ended_by is signal.SIGQUIT:  # its default action would dump core
        return 128 + signal.SIGQUIT
    if supervisor.ended_by is not None:
        die_by(supervisor.ended_by)
    return code


def describe_plan(path: Path, arguments: Mapping[str, str]) -> str:
    """The processes that a launch would start, one line each. Raises LaunchError."""
    with tempfile.TemporaryDirectory(prefix="launch_params_") as folder:
        context = Context.create(arguments, Path(folder))
        evaluate.run_file(path, arguments, context)
        lines = []
        for spec in context.processes:
            changed = {key: value for key, value in spec.environment.items() if os.environ.get(key) != value}
            extras = "".join(f"\n    {key}={value}" for key, value in sorted(changed.items()))
            lines.append(f"{spec.name}: {spec.command_line}{extras}")
        return "\n".join(lines)


def _log_dir() -> tuple[Path | None, str]:
    """A folder for the log files of this launch, or None and the reason."""
    root = log_root(os.environ)
    try:
        return make_log_dir(root), ""
    except OSError as error:
        return None, f"no log files: cannot write below '{root}' ({error.strerror}); set ROS_LOG_DIR to change it"
