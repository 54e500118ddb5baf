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

"""Output information about a node."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 node info`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Fully qualified node name to request information")
    parser.add_argument("--include-hidden", action="store_true", help="Display hidden topics and services as well")


def main(args: argparse.Namespace) -> str | None:
    """Print the node's publishers, subscriptions, services and actions."""
    from ros2cli.graph.names import node_names, visible

    with command_node(args) as node:

        def found() -> list[Any]:
            return [one for one in node_names(node, args.include_hidden) if one.full == args.node_name]

        wait_for_graph(node, args, found=lambda: bool(found()))
        matches = found()
        if not matches:
            return f"Unable to find node '{args.node_name}'"
        if len(matches) > 1:
            print(
                f'There are {len(matches)} nodes in the graph with the exact name "{args.node_name}". '
                "You are seeing information about only one of them.",
                file=sys.stderr,
            )
        print(args.node_name)
        for title, pairs in _sections(node, matches[0].name, matches[0].namespace):
            print(f"  {title}:")
            print("\n".join(f"    {name}: {', '.join(types)}" for name, types in visible(pairs, args.include_hidden)))
    return None


def _sections(node: Any, name: str, namespace: str) -> list[tuple[str, Any]]:
    import rclpy.action

    action: Any = rclpy.action

    return [
        ("Subscribers", node.get_subscriber_names_and_types_by_node(name, namespace)),
        ("Publishers", node.get_publisher_names_and_types_by_node(name, namespace)),
        ("Service Servers", node.get_service_names_and_types_by_node(name, namespace)),
        ("Service Clients", node.get_client_names_and_types_by_node(name, namespace)),
        ("Action Servers", action.get_action_server_names_and_types_by_node(node, name, namespace)),
        ("Action Clients", action.get_action_client_names_and_types_by_node(node, name, namespace)),
    ]
