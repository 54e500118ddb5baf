"""Counts the frames received on image_raw (best effort) and measures their age; prints one JSON line.

Usage: image_counter COUNT: ends after COUNT frames, or after two seconds without a frame.
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
    last = [time.monotonic() + 30.0]  # the first frame may take long

    def arrived(message: Image) -> None:
        stamp = message.header.stamp
        ages.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)
        last[0] = time.monotonic()

    # A deep queue, so that missing frames were lost in transport and not in the queue of a busy machine.
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
