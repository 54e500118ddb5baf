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

"""Run a package specific executable."""

from __future__ import annotations

import argparse
import os
import shlex

from ros2cli.errors import CliError, NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 run`."""
    parser.add_argument("--prefix", help="Command to put in front of the executable")
    parser.add_argument("package_name", help="Name of the ROS package")
    parser.add_argument("executable_name", help="Name of the executable")
    parser.add_argument("argv", nargs=argparse.REMAINDER, help="Pass arbitrary arguments to the executable")


def main(args: argparse.Namespace) -> str:
    """Replace this process with the executable, so that signals and exit code need no forwarding."""
    from ros2cli import ament_index

    try:
        paths = ament_index.executables(args.package_name)
    except NotFound as error:
        raise CliError(f"Package '{args.package_name}' not found") from error
    found = [path for path in paths if path.name == args.executable_name]
    if not found:
        return "No executable found"
    if len(found) > 1:
        raise CliError("Multiple executables found:" + "".join(f"\n- {path}" for path in found))
    command = [*shlex.split(args.prefix or ""), str(found[0]), *args.argv]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise CliError(f"cannot run '{command[0]}': {error.strerror}") from error
