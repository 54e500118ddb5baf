"""Print a topic's type."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic type`."""
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic to get type (e.g. '/chatter')")


def main(args: argparse.Namespace) -> int:
    """Print the type; 1 if there is no such topic."""
    from ros2cli.graph.topics import topic_types

    with command_node(args) as node:
        wait_for_graph(node, args, found=lambda: bool(topic_types(node, args.topic_name)))
        types = topic_types(node, args.topic_name)
    for name in types:
        print(name)
    return 0 if types else 1
