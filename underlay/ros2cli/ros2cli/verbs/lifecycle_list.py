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

"""Output a list of available transitions."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 lifecycle list`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")
    parser.add_argument("-a", "--all", action="store_true", help="Display all existing transitions")


def main(args: argparse.Namespace) -> None:
    """Print a block for each transition."""
    from ros2cli.graph import lifecycle

    with command_node(args) as node:
        target = lifecycle.find_node(node, args)
        found = lifecycle.transitions(node, target, args.all)
    for one in found:
        print(
            f"- {one.transition.label} [{one.transition.id}]\n"
            f"\tStart: {one.start_state.label}\n\tGoal: {one.goal_state.label}"
        )
