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

"""Get lifecycle state for one or more nodes."""

from __future__ import annotations

import argparse
import sys

from ros2cli.errors import CliError
from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 lifecycle get`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", nargs="?", help="Name of the ROS node; without it, all are shown")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")


def main(args: argparse.Namespace) -> None:
    """Print `label [id]`, prefixed by the node's name if all nodes are shown."""
    from ros2cli.graph import lifecycle

    with command_node(args) as node:
        if args.node_name:
            print(lifecycle.state_of(node, lifecycle.find_node(node, args)))
            return
        wait_for_graph(node, args)
        for target in lifecycle.lifecycle_nodes(node, args.include_hidden_nodes):
            try:
                print(f"{target.full}: {lifecycle.state_of(node, target.full)}")
            except CliError as error:
                print(f"{target.full}: {error}", file=sys.stderr)
