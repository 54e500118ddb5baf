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

"""Run a launch file (XML only)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ros2cli.errors import CliError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 launch`."""
    parser.add_argument("-n", "--noninteractive", action="store_true", help="Accepted and ignored")
    parser.add_argument("-d", "--debug", action="store_true", help="Print each process's command and folder")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-p", "--print", "--print-description", action="store_true", help="Print what would be started")
    mode.add_argument(
        "-s", "--show-args", "--show-arguments", action="store_true", help="Show the launch file's arguments"
    )
    parser.add_argument(
        "-a", "--show-all-subprocesses-output", action="store_true", help="Show all output of all processes"
    )
    parser.add_argument("--launch-prefix", help="Command to put in front of every executable")
    parser.add_argument("--launch-prefix-filter", help="Regex of the executables that get the --launch-prefix")
    parser.add_argument("package_name", help="Name of a package, or path of a launch file")
    parser.add_argument("launch_file_name", nargs="?", help="Name of a launch file of the package")
    parser.add_argument(
        "launch_arguments", nargs="*", help="Arguments, '<name>:=<value>' (for duplicates, last one wins)"
    )


def main(args: argparse.Namespace) -> int | str | None:
    """Launch, or print what would be launched."""
    from ros2cli.launch import runner

    words: list[str] = args.launch_arguments
    if os.path.isfile(args.package_name):
        path = Path(args.package_name)
        words = [args.launch_file_name, *words] if args.launch_file_name is not None else words
    else:
        path = find_in_package(args.package_name, args.launch_file_name)
    if args.show_args:
        from ros2cli.launch.show_args import show_arguments

        print(show_arguments(path))
        return None
    if args.launch_prefix_filter is not None and args.launch_prefix is None:
        raise CliError("--launch-prefix must be specified if --launch-prefix-filter is provided")
    arguments = runner.parse_arguments(words)
    if args.launch_prefix:
        arguments["launch-prefix"] = args.launch_prefix
    if args.launch_prefix_filter:
        arguments["launch-prefix-filter"] = args.launch_prefix_filter
    if args.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    if args.print:
        print(runner.describe_plan(path, arguments))
        return None
    return runner.launch(path, arguments, debug=args.debug)


def find_in_package(package: str, file_name: str | None) -> Path:
    """The launch file anywhere in the package's share folder. Raises CliError."""
    from ros2cli import ament_index

    try:
        share = ament_index.package_share(package)
    except CliError as error:
        if "/" in package or package.endswith(".xml"):
            raise CliError(f"there is no launch file '{package}'") from error
        raise CliError(f"Package '{package}' not found: {error}") from error
    if file_name is None:
        raise CliError(f"name a launch file of package '{package}', which is at '{share}'")
    found = [Path(folder, file_name) for folder, _, files in os.walk(share) if file_name in files]
    if not found:
        raise CliError(
            f"file '{file_name}' was not found in the share directory of package '{package}' which is at '{share}'"
        )
    if len(found) > 1:
        places = ", ".join(f"'{path}'" for path in found)
        raise CliError(
            f"file '{file_name}' was found more than once in the share directory of package '{package}': [{places}]"
        )
    return found[0]
