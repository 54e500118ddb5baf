"""Prints ``ready``, and the monotonic time at which the first detection arrives. Usage: first_detection TOPIC."""

from __future__ import annotations

import sys
import time

import rclpy
from vision_msgs.msg import Detection2DArray


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("first_detection")
    seen: list[bool] = []
    node.create_subscription(
        Detection2DArray, sys.argv[1], lambda message: seen.extend([True] * bool(message.detections)), 10
    )
    print("ready", flush=True)
    while not seen:
        rclpy.spin_once(node, timeout_sec=1.0)
    print(time.monotonic(), flush=True)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
