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

"""Lifecycle nodes and their services (lifecycle_msgs)."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.names import NodeName, absolute, node_names
from ros2cli.graph.node import call, wait_for_graph


def lifecycle_nodes(node: Any, hidden: bool = False) -> list[NodeName]:
    """The nodes that have a `get_state` service, sorted."""
    services = dict(node.get_service_names_and_types())
    get_state = "lifecycle_msgs/srv/GetState"
    return [found for found in node_names(node, hidden) if get_state in services.get(f"{found.full}/get_state", [])]


def find_node(node: Any, args: argparse.Namespace) -> str:
    """The lifecycle node that `args.node_name` names. Raises CliError `Node not found`."""
    full = absolute(args.node_name)

    def found() -> bool:
        return full in [one.full for one in lifecycle_nodes(node, args.include_hidden_nodes)]

    wait_for_graph(node, args, found=found)
    if not found():
        raise CliError("Node not found")
    return full


def state_of(node: Any, target: str) -> str:
    """`label [id]`. Raises CliError."""
    from lifecycle_msgs.srv import GetState

    state = call(node, GetState, f"{target}/get_state", GetState.Request()).current_state
    return f"{state.label} [{state.id}]"


def transitions(node: Any, target: str, every: bool = False) -> list[Any]:
    """The TransitionDescriptions that are possible now, or all of them with `every`. Raises CliError."""
    from lifecycle_msgs.srv import GetAvailableTransitions

    service = "get_transition_graph" if every else "get_available_transitions"
    request = GetAvailableTransitions.Request()
    return list(call(node, GetAvailableTransitions, f"{target}/{service}", request).available_transitions)


def change_state(node: Any, target: str, transition: Any) -> bool:
    """Trigger a transition; False if the node refused or failed. Blocks up to a minute. Raises CliError."""
    from lifecycle_msgs.srv import ChangeState

    request = ChangeState.Request(transition=transition)
    return bool(call(node, ChangeState, f"{target}/change_state", request, timeout=60.0, again=60.0).success)
