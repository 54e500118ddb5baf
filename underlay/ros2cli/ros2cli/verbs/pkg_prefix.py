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

"""Output the prefix path of a package."""

from __future__ import annotations

import argparse

from ros2cli.errors import NotFound


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 pkg prefix`."""
    parser.add_argument("package_name", help="The package name")
    parser.add_argument("--share", action="store_true", help="Show share directory for the package")


def main(args: argparse.Namespace) -> str | None:
    """Print the path."""
    from ros2cli import ament_index

    find = ament_index.package_share if args.share else ament_index.package_prefix
    try:
        print(find(args.package_name))
    except NotFound:
        return "Package not found"
    return None
