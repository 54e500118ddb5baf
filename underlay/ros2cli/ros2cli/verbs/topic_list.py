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

"""Output a list of available topics."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic list`."""
    add_node_arguments(parser)
    parser.add_argument("-t", "--show-types", action="store_true", help="Additionally show the topic type")
    parser.add_argument("-c", "--count-topics", action="store_true", help="Only display the number of topics")
    parser.add_argument("--include-hidden-topics", action="store_true", help="Consider hidden topics as well")
    parser.add_argument("-v", "--verbose", action="store_true", help="List full details about each topic")


def main(args: argparse.Namespace) -> None:
    """Print the names."""
    from ros2cli.graph.names import visible

    with command_node(args) as node:
        wait_for_graph(node, args)
        topics = visible(node.get_topic_names_and_types(), args.include_hidden_topics)
        if args.count_topics:
            print(len(topics))
        elif args.verbose and topics:
            print(_details(topics, "Published", "publisher", node.count_publishers))
            print(_details(topics, "Subscribed", "subscriber", node.count_subscribers))
        else:
            for name, types in topics:
                print(f"{name} [{', '.join(types)}]" if args.show_types else name)


def _details(topics: list[tuple[str, list[str]]], title: str, unit: str, count: Any) -> str:
    text = f"{title} topics:\n"
    for name, types in topics:
        number = count(name)
        if number:
            text += f" * {name} [{', '.join(types)}] {number} {unit}{'s' if number > 1 else ''}\n"
    return text
