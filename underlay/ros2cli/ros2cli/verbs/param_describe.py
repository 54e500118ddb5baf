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

"""Show descriptive information about declared parameters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param describe`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("parameter_names", nargs="+", help="Names of the parameters")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Print a block for each parameter."""
    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        found = parameters.describe(node, target.full, args.parameter_names)
    for descriptor in found:
        print("\n".join(_lines(descriptor, parameters.LABELS[descriptor.type][0])))


def _lines(descriptor: Any, kind: str) -> Iterator[str]:
    yield f"Parameter name: {descriptor.name}"
    yield f"  Type: {kind}"
    if descriptor.description:
        yield f"  Description: {descriptor.description}"
    yield "  Constraints:"
    if descriptor.read_only:
        yield "    Read only: true"
    for limits in (*descriptor.floating_point_range, *descriptor.integer_range)[:1]:
        yield f"    Min value: {limits.from_value}"
        yield f"    Max value: {limits.to_value}"
        if limits.step:
            yield f"    Step: {limits.step}"
    if descriptor.additional_constraints:
        yield f"    Additional constraints: {descriptor.additional_constraints}"
