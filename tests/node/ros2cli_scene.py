"""A process with two nodes for the commands to examine: `/cam/talker` and the lifecycle node `/cam/life`."""

from __future__ import annotations

from typing import Any

import rclpy
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool

RATE = 10.0


class Talker(Node):
    """Publishes text, a frame and a latched text; offers a switch service; echoes what it receives."""

    def __init__(self) -> None:
        super().__init__("talker", namespace="/cam")
        steps = IntegerRange(from_value=0, to_value=10, step=2)
        self.declare_parameter("count", 4, ParameterDescriptor(description="how many", integer_range=[steps]))
        self.declare_parameter("fixed", True, ParameterDescriptor(read_only=True))
        self.declare_parameter("box.size", 0.5)
        self.declare_parameter("box.names", ["a", "b"])
        self.declare_parameter("first", 0.5)
        self.declare_parameter("deep.second", ["a"])
        self.declare_parameter("spare", 1, ParameterDescriptor(dynamic_typing=True))
        best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.text = self.create_publisher(String, "text", best_effort)
        self.frame = self.create_publisher(Image, "image_raw", 5)
        self.word = self.create_publisher(String, "word", latched)
        self.echoed = self.create_publisher(Header, "echoed", 10)
        self.hear = self.create_subscription(Header, "hear", self.echoed.publish, 10)
        self.switch = self.create_service(SetBool, "switch", self._on_switch)
        self.word.publish(String(data="held"))
        self.image = Image(height=480, width=640, encoding="rgb8", step=1920, data=bytes(640 * 480 * 3))
        self.number = 0
        self.timer = self.create_timer(1 / RATE, self._tick)

    def _tick(self) -> None:
        self.number += 1
        self.text.publish(String(data=f"größe {self.number}"))
        self.frame.publish(self.image)

    def _on_switch(self, request: Any, response: Any) -> Any:
        response.success, response.message = request.data, "switched"
        return response


def main() -> None:
    rclpy.init()
    executor = SingleThreadedExecutor()
    nodes = [Talker(), LifecycleNode("life", namespace="/cam")]
    for node in nodes:
        executor.add_node(node)
    print("ready", flush=True)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
