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
