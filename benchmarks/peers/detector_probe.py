"""Measures the age of a detector node's detections; camera_frames sends the images.

Usage: detector_probe SECONDS [CAMERA ...]    (no camera: image_raw and detections without a prefix)
Prints one JSON object: latency_p50_ms, latency_p99_ms, per_camera (detections per second), busy_ms (preprocess + infer
+ decode) and published_ms (capture to published), both the node's own medians.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_ros.conversions import ns_from_stamp
from vision_msgs.msg import Detection2DArray

_WARM_UP = 2.0
_STAGES = ("preprocess_ms", "infer_ms", "decode_ms")


def main() -> None:
    seconds, cameras = float(sys.argv[1]), sys.argv[2:] or [""]
    rclpy.init()
    node = rclpy.create_node("detector_probe")
    ages: dict[str, list[tuple[float, float]]] = {camera: [] for camera in cameras}
    busy: list[float] = []
    published: list[float] = []

    def arrived(camera: str, message: Detection2DArray) -> None:
        age = node.get_clock().now().nanoseconds - ns_from_stamp(message.header.stamp)
        ages[camera].append((time.monotonic(), age / 1e6))

    def reported(message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if all(values.get(stage, "-") != "-" for stage in _STAGES):
                busy.append(sum(float(values[stage]) for stage in _STAGES))
                published.append(float(values["latency_ms"]))

    for camera in cameras:
        topic = f"{camera}/detections" if camera else "detections"
        node.create_subscription(Detection2DArray, topic, lambda message, name=camera: arrived(name, message), 10)
    node.create_subscription(DiagnosticArray, "/diagnostics", reported, 10)
    while not all(ages.values()):
        rclpy.spin_once(node, timeout_sec=0.1)
    begin = time.monotonic() + _WARM_UP
    while time.monotonic() < begin + seconds:
        rclpy.spin_once(node, timeout_sec=0.1)
    counted = {camera: [age for when, age in found if when >= begin] for camera, found in ages.items()}
    everything = np.concatenate([np.array(found) for found in counted.values()])
    print(
        json.dumps(
            {
                "latency_p50_ms": float(np.percentile(everything, 50)),
                "latency_p99_ms": float(np.percentile(everything, 99)),
                "per_camera": {camera: len(found) / seconds for camera, found in counted.items()},
                "busy_ms": float(np.median(busy)),
                "published_ms": float(np.median(published)),
            }
        )
    )
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
