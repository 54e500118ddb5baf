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

"""The parameter services of a node (rcl_interfaces)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.names import NodeName, absolute, node_names, require_node
from ros2cli.graph.node import call, wait_for_graph

LABELS: dict[int, tuple[str, str, str | None]] = {
    0: ("not set", "Parameter not set.", None),
    1: ("boolean", "Boolean value is:", "bool_value"),
    2: ("integer", "Integer value is:", "integer_value"),
    3: ("double", "Double value is:", "double_value"),
    4: ("string", "String value is:", "string_value"),
    5: ("byte array", "Byte values are:", "byte_array_value"),
    6: ("boolean array", "Boolean values are:", "bool_array_value"),
    7: ("integer array", "Integer values are:", "integer_array_value"),
    8: ("double array", "Double values are:", "double_array_value"),
    9: ("string array", "String values are:", "string_array_value"),
}
"""`rcl_interfaces/msg/ParameterType`: its name, the text before a value in `param get`, and the field of the value."""


def python_value(value: Any) -> Any:
    """The content of a ParameterValue; None if it is not set."""
    field = LABELS[value.type][2]
    if field is None:
        return None
    content = getattr(value, field)
    return content.tolist() if hasattr(content, "tolist") else content


def find_node(node: Any, args: argparse.Namespace) -> NodeName:
    """The node that `args.node_name` names. Raises CliError `Node not found`."""
    full, hidden = absolute(args.node_name), args.include_hidden_nodes
    wait_for_graph(node, args, found=lambda: full in [found.full for found in node_names(node, hidden)])
    return require_node(node, full, hidden)


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verbs that address one node."""
    parser.add_argument("--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well")
    parser.add_argument("--timeout", metavar="N", type=int, help="Accepted; the command waits for discovery")


def list_names(node: Any, target: str, prefixes: Sequence[str] = ()) -> list[str]:
    """The names of a node's parameters, sorted. Raises CliError."""
    from rcl_interfaces.srv import ListParameters

    request = ListParameters.Request(prefixes=list(prefixes))
    return sorted(call(node, ListParameters, f"{target}/list_parameters", request).result.names)


def get_values(node: Any, target: str, names: list[str]) -> list[Any]:
    """ParameterValues in the order of the names; empty if the node has no parameter of one of these names."""
    from rcl_interfaces.srv import GetParameters

    return list(call(node, GetParameters, f"{target}/get_parameters", GetParameters.Request(names=names)).values)


def describe(node: Any, target: str, names: list[str]) -> list[Any]:
    """The ParameterDescriptors. Raises CliError."""
    from rcl_interfaces.srv import DescribeParameters

    request = DescribeParameters.Request(names=names)
    return list(call(node, DescribeParameters, f"{target}/describe_parameters", request).descriptors)


def set_value(node: Any, target: str, name: str, text: str) -> Any:
    """Set one parameter from text with YAML's typing. Returns the SetParametersResult. Raises CliError."""
    from rcl_interfaces.msg import Parameter
    from rclpy.parameter import get_parameter_value

    (result,) = set_values(node, target, [Parameter(name=name, value=get_parameter_value(text))])
    return result


def set_values(node: Any, target: str, parameters: list[Any]) -> list[Any]:
    """Set `rcl_interfaces/msg/Parameter`s. Returns a SetParametersResult for each. Raises CliError."""
    from rcl_interfaces.srv import SetParameters

    request = SetParameters.Request(parameters=parameters)
    results = list(call(node, SetParameters, f"{target}/set_parameters", request).results)
    if len(results) != len(parameters):
        raise CliError(f"node '{target}' returned {len(results)} results for {len(parameters)} parameters")
    return results


def print_result(result: Any, success: str, failure: str) -> None:
    """Print a SetParametersResult with its reason: success to stdout, failure to stderr."""
    reason = f": {result.reason}" if result.reason else ""
    if result.successful:
        print(f"{success}{reason}")
    else:
        print(f"{failure}{reason}", file=sys.stderr)
