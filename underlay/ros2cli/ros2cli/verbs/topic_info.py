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

"""Print information about a topic."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic info`."""
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic to get info (e.g. '/chatter')")
    parser.add_argument("-v", "--verbose", action="store_true", help="Print each endpoint with its node and QoS")


def main(args: argparse.Namespace) -> str | None:
    """Print type and counts."""
    from ros2cli.graph.topics import topic_types

    topic, end = args.topic_name, "\n\n" if args.verbose else "\n"
    with command_node(args) as node:
        wait_for_graph(node, args)
        types = topic_types(node, topic)
        if not types:
            return f"Unknown topic '{topic}'"
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        print(f"Publisher count: {node.count_publishers(topic)}", end=end)
        if args.verbose:
            for info in node.get_publishers_info_by_topic(topic):
                print(info, end=end)
        print(f"Subscription count: {node.count_subscribers(topic)}", end=end)
        if args.verbose:
            for info in node.get_subscriptions_info_by_topic(topic):
                print(info, end=end)
    return None
