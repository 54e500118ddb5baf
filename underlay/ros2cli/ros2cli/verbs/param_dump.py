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

"""Show all of the parameters of a node in a YAML file format."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param dump`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Print the YAML; dots in names become nested dictionaries."""
    import yaml

    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        names = parameters.list_names(node, target.full)
        values = [parameters.python_value(value) for value in parameters.get_values(node, target.full, names)]
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    print(yaml.safe_dump({target.full: {"ros__parameters": tree}}, default_flow_style=False))
