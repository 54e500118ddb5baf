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

"""Trigger lifecycle state transition."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 lifecycle set`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("transition", help="The lifecycle transition: its label or its id")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")


def main(args: argparse.Namespace) -> str | None:
    """Trigger a transition; its failure is an error."""
    from ros2cli.graph import lifecycle

    with command_node(args) as node:
        target = lifecycle.find_node(node, args)
        known = [found.transition for found in lifecycle.transitions(node, target)]
        by_label = [one for one in known if one.label == args.transition]
        chosen = by_label or [one for one in known if str(one.id) == args.transition]
        if not chosen:
            available = "".join(f"\n- {one.label} [{one.id}]" for one in known)
            return f"Unknown transition requested, available ones are:{available}"
        if not lifecycle.change_state(node, target, chosen[0]):
            return "Transitioning failed"
    print("Transitioning successful")
    return None
