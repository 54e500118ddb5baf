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

"""Delete parameter."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param delete`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("parameter_name", help="Name of the parameter")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Delete a parameter. A refusal is printed to stderr; as in the real command, the exit code is 0."""
    from rcl_interfaces.msg import Parameter

    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        # A new Parameter's value has the type PARAMETER_NOT_SET, which undeclares it.
        (result,) = parameters.set_values(node, target.full, [Parameter(name=args.parameter_name)])
    parameters.print_result(result, "Deleted parameter successfully", "Deleting parameter failed")
