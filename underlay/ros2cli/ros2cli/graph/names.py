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

"""Names of nodes, topics and services in the graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ros2cli.errors import CliError


@dataclass(frozen=True, order=True)
class NodeName:
    """A node's `/namespace/name`, and its parts."""

    full: str
    name: str
    namespace: str


def absolute(name: str) -> str:
    """The name with a leading slash."""
    return name if name.startswith("/") else "/" + name


def node_names(node: Any, hidden: bool = False) -> list[NodeName]:
    """The nodes of the graph, sorted; those whose name starts with `_` only if `hidden`."""
    found = []
    for name, namespace in node.get_node_names_and_namespaces():
        if hidden or (name and not name.startswith("_")):
            found.append(NodeName(f"{namespace.rstrip('/')}/{name}", name, namespace))
    return sorted(found)


def require_node(node: Any, name: str, hidden: bool = False) -> NodeName:
    """The node with this name. Raises CliError `Node not found`."""
    full = absolute(name)
    for found in node_names(node, hidden):
        if found.full == full:
            return found
    raise CliError("Node not found")


def is_hidden(name: str) -> bool:
    """Whether a part of a topic's or service's name starts with `_`."""
    return any(part.startswith("_") for part in name.split("/"))


def visible(pairs: Iterable[tuple[str, list[str]]], hidden: bool) -> list[tuple[str, list[str]]]:
    """Names and types; hidden ones only if `hidden`."""
    return [(name, types) for name, types in pairs if hidden or not is_hidden(name)]


def expand(node: Any, topic: str) -> str:
    """A topic's full name. Raises CliError for an invalid name."""
    from rclpy.exceptions import InvalidTopicNameException
    from rclpy.expand_topic_name import expand_topic_name
    from rclpy.validate_full_topic_name import validate_full_topic_name

    try:
        name: str = expand_topic_name(topic, node.get_name(), node.get_namespace())
        validate_full_topic_name(name)
    except (ValueError, InvalidTopicNameException) as error:
        raise CliError(str(error)) from error
    return name


def print_of_type(names: Iterable[tuple[str, list[str]]], type_name: str, only_number: bool) -> None:
    """Print the names of a type, one a line, or only their number."""
    found = [name for name, types in names if type_name in types]
    if only_number:
        print(len(found))
    else:
        print("".join(f"{name}\n" for name in found), end="")
