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

"""Output a list of package specific executables."""

from __future__ import annotations

import argparse

from ros2cli.errors import CliError, NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 pkg executables`."""
    parser.add_argument("package_name", nargs="?", help="The package name")
    parser.add_argument("--full-path", action="store_true", help="Show full path of each executable")


def main(args: argparse.Namespace) -> None:
    """Print `package executable` lines, or paths."""
    from ros2cli import ament_index

    packages = [args.package_name] if args.package_name else sorted(ament_index.resources("packages"))
    for package in packages:
        try:
            paths = ament_index.executables(package)
        except NotFound as error:
            raise CliError(f"Package '{package}' not found") from error
        for path in paths:
            print(path if args.full_path else f"{package} {path.name}")
