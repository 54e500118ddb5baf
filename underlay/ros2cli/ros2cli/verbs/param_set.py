"""Set parameter."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param set`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("parameter_name", help="Name of the parameter")
    parser.add_argument("value", help="Value of the parameter")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Set it. A refusal is printed to stderr, and the exit code is 0 all the same, as that of the real command."""
    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        result = parameters.set_value(node, target.full, args.parameter_name, args.value)
    parameters.print_result(result, "Set parameter successful", "Setting parameter failed")
