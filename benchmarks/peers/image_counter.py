"""Counts the frames that arrive at image_raw (best effort) and how old they are; prints one JSON line.

Usage: image_counter COUNT: ends after COUNT frames, or when none came for two seconds after the first.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


def main() -> None:
    count = int(sys.argv[1])
    rclpy.init()
    node = rclpy.create_node("image_counter")
    ages: list[float] = []
    last = [time.monotonic() + 30.0]  # the first may take its time

    def arrived(message: Image) -> None:
        stamp = message.header.stamp
        ages.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)
        last[0] = time.monotonic()

    # Deep, so that what is counted missing was lost on the way and not in a queue of a busy machine.
    qos = QoSProfile(depth=30, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "image_raw", arrived, qos)
    print("ready", flush=True)
    while len(ages) < count and time.monotonic() - last[0] < 2.0:
        rclpy.spin_once(node, timeout_sec=0.2)
    p50 = float(np.percentile(ages, 50)) if ages else float("nan")
    print(json.dumps({"received": len(ages), "age_ms_p50": p50 * 1e3}), flush=True)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
