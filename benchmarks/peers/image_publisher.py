"""A bare rclpy publisher of stamped bgr8 frames: the simplest possible node.

Usage: image_publisher WIDTH HEIGHT RATE COUNT [MODULE[:FUNCTION] ...]
COUNT 0: until stopped. Modules are imported, and their functions called, first.
"""

from __future__ import annotations

import importlib
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image


def main() -> None:
    width, height, rate, count = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    for name in sys.argv[5:]:
        module, _, function = name.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    rclpy.init()
    node = rclpy.create_node("image_publisher")
    publisher = node.create_publisher(Image, "image_raw", QoSProfile(depth=5))
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    if count:
        time.sleep(2.0)  # frames sent before the subscriber has discovered the publisher are lost
    due = time.monotonic()
    sent = 0
    while not count or sent < count:
        message = Image(width=width, height=height, encoding="bgr8", step=width * 3)
        message.header.stamp = node.get_clock().now().to_msg()
        message.header.frame_id = str(sent)
        message.data.frombytes(pixels.reshape(-1).data)
        publisher.publish(message)
        sent += 1
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(1.0)  # reliable delivery may still be in progress
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
