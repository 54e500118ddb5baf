"""Output a service's type."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 service type`."""
    add_node_arguments(parser)
    parser.add_argument("service_name", help="Name of the ROS service (e.g. '/talker/list_parameters')")


def main(args: argparse.Namespace) -> int:
    """Print the type; 1 if there is no such service."""
    with command_node(args) as node:

        def types() -> list[Any]:
            return list(dict(node.get_service_names_and_types()).get(args.service_name, []))

        wait_for_graph(node, args, found=lambda: bool(types()))
        found = types()
    for name in found:
        print(name)
    return 0 if found else 1
