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

"""Output a list of nodes with lifecycle."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 lifecycle nodes`."""
    add_node_arguments(parser)
    parser.add_argument("-a", "--all", action="store_true", help="Display all nodes even hidden ones")
    parser.add_argument("-c", "--count-nodes", action="store_true", help="Only display the number of nodes")


def main(args: argparse.Namespace) -> None:
    """Print the names."""
    from ros2cli.graph.lifecycle import lifecycle_nodes

    with command_node(args) as node:
        wait_for_graph(node, args)
        names = sorted({found.full for found in lifecycle_nodes(node, args.all)})
    if args.count_nodes:
        print(len(names))
        return
    for name in names:
        print(name)
