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

"""Get parameter."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param get`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("parameter_name", help="Name of the parameter")
    parser.add_argument("--hide-type", action="store_true", help="Hide the type information")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> str | None:
    """Print the value."""
    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        values = parameters.get_values(node, target.full, [args.parameter_name])
    if not values:
        return "Parameter not set"
    label, value = parameters.LABELS[values[0].type][1], parameters.python_value(values[0])
    if args.hide_type:
        print(value)
    else:
        print(label if value is None else f"{label} {value}")
    return None
