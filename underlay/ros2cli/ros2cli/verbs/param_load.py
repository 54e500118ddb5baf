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

"""Load parameter file for a node."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import add_node_arguments, command_node
from ros2cli.graph.parameters import add_target_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 param load`."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    parser.add_argument("parameter_file", help="Parameter file")
    parser.add_argument("--no-use-wildcard", action="store_true", help="Do not load the parameters of '/**'")
    add_target_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Set each parameter of the file. A refusal is printed to stderr; as in the real command, the exit code is 0."""
    from ros2cli.graph import parameters

    with command_node(args) as node:
        target = parameters.find_node(node, args)
        loaded = read(args.parameter_file, target.full, wildcard=not args.no_use_wildcard)
        results = parameters.set_values(node, target.full, loaded)
    for parameter, result in zip(loaded, results, strict=True):
        name = parameter.name
        parameters.print_result(result, f"Set parameter {name} successful", f"Set parameter {name} failed")


def read(path: str, node_name: str, wildcard: bool) -> list[Any]:
    """The `rcl_interfaces/msg/Parameter`s that a file holds for a node. Raises CliError."""
    import yaml
    from rclpy.parameter import parameter_dict_from_yaml_file

    try:
        return list(parameter_dict_from_yaml_file(path, wildcard, target_nodes=[node_name]).values())
    except OSError as error:
        raise CliError(f"cannot read parameter file '{path}': {error.strerror}") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CliError(f"'{path}' is not a ROS parameter file (node name, ros__parameters, values): {error}") from error
