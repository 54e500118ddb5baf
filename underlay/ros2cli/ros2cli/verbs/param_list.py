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

"""Output a list of available parameters."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param list`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", nargs="?", help="Name of the ROS node")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")
    parser.add_argument("--filter", metavar="REGEX", help="Only list parameters matching the regex")
    parser.add_argument("--param-prefixes", nargs="+", default=[], help="Only list parameters with the prefixes")
    parser.add_argument("--param-type", action="store_true", help="Print parameter types with parameter names")


def main(args: argparse.Namespace) -> None:
    """Print the names for one node or for all."""
    from ros2cli.graph import parameters
    from ros2cli.graph.names import node_names

    with command_node(args) as node:
        if args.node_name:
            targets = [parameters.find_node(node, args)]
        else:
            wait_for_graph(node, args)
            targets = node_names(node, args.include_hidden_nodes)
        for target in sorted(targets, key=lambda one: (one.name, one.namespace)):
            try:
                lines = _lines(node, target.full, args)
            except CliError as error:
                print(f"{target.full}: {error}", file=sys.stderr)
                continue
            if lines and not args.node_name:
                print(f"{target.full}:")
            for line in lines:
                print(f"  {line}")


def _lines(node: Any, target: str, args: argparse.Namespace) -> list[str]:
    from ros2cli.graph import parameters

    names = parameters.list_names(node, target, args.param_prefixes)
    if args.filter:
        names = [name for name in names if re.match(args.filter, name)]
    if not args.param_type:
        return names
    found = parameters.describe(node, target, names)
    return [f"{one.name} (type: {parameters.LABELS[one.type][0]})" for one in found]
