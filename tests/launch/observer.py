"""A node beside a launch: it sees what `ros2` commands print, without a new process for each look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rclpy
from edgecam_ros.ending import bounded
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.context import Context
from rclpy.parameter import Parameter, parameter_value_to_python
from ros_peer import Peer
from waiting import DISCOVERY, wait_until

NAME = "/observer"


class Observer(Peer):
    """A peer in a DDS domain of its own choice, so that one process observes one launch after the other."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        super().__init__(NAME[1:], self._context)

    def nodes(self) -> set[str]:
        """The full names of all discovered nodes but itself."""
        found = self.node.get_node_names_and_namespaces()
        return {f"{namespace.rstrip('/')}/{name}" for name, namespace in found} - {NAME}

    def wait_for_nodes(self, *names: str) -> None:
        wait_until(lambda: set(names) <= self.nodes(), what=f"the nodes {', '.join(names)}")

    def first(self, message_type: type, topic: str, good: Callable[[Any], Any] = lambda _: True) -> Any:
        """The first good message of a topic."""
        received = self.collect(message_type, topic)
        return wait_until(lambda: next(filter(good, received[:]), None), 2 * DISCOVERY, f"a message on {topic}")

    def parameter(self, node: str, name: str) -> Any:
        """The value of a node's parameter."""
        answer = self.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=[name]))
        return parameter_value_to_python(answer.values[0])

    def set(self, node: str, name: str, value: Any) -> None:
        """Set a node's parameter; fails the test if the node refuses."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = self.call(SetParameters, f"{node}/set_parameters", request).results
        assert result.successful, result.reason

    def state(self, node: str) -> str:
        """The label of a node's lifecycle state."""
        label: str = self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label
        return label

    def close(self) -> None:
        super().close()
        with bounded():
            rclpy.shutdown(context=self._context)
