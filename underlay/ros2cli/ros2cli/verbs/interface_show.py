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

"""Output the interface definition."""

from __future__ import annotations

import argparse
import sys

from ros2cli.errors import CliError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 interface show`."""
    comments = parser.add_mutually_exclusive_group()
    comments.add_argument("--all-comments", action="store_true", help="Show nested definitions' comments, too")
    comments.add_argument("--no-comments", action="store_true", help="Show no comments or whitespace")
    parser.add_argument("type", help="An interface (e.g. 'std_msgs/msg/String'); '-' reads it from stdin")


def main(args: argparse.Namespace) -> None:
    """Print one definition."""
    from ros2cli.messages.definitions import show

    name = sys.stdin.readline().strip() if args.type == "-" else args.type
    if not name:
        raise CliError("the passed value is empty")
    for line in show(name, not args.no_comments, args.all_comments):
        print(line)
