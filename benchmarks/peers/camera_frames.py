"""Cameras for detector_probe: publishes one image on image_raw of each camera at a rate, until it is stopped.

Usage: camera_frames RATE [CAMERA ...]    (no camera: image_raw without a prefix)
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from edgecam_core.memory import keep_pages
from edgecam_core.types import Frame
from edgecam_ros.conversions import image_to_ros
from edgecam_ros.qos import image_qos
from sensor_msgs.msg import Image

PHOTO = Path(__file__).resolve().parents[2] / "tests" / "assets" / "photos" / "horse.jpg"


def main() -> None:
    rate, cameras = float(sys.argv[1]), sys.argv[2:] or [""]
    keep_pages()  # as in the camera node, which this replaces
    rclpy.init()
    node = rclpy.create_node("camera_frames")
    pixels = cv2.resize(np.asarray(cv2.imread(str(PHOTO))), (640, 480))
    topics = [f"{camera}/image_raw" if camera else "image_raw" for camera in cameras]
    publishers = [node.create_publisher(Image, topic, image_qos()) for topic in topics]
    period, due = 1 / rate / len(cameras), time.monotonic()
    for publisher in itertools.cycle(publishers):  # real cameras are not synchronised: spread over the period
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + period, time.monotonic())  # a camera does not catch up
        stamp = node.get_clock().now().nanoseconds
        publisher.publish(image_to_ros(Frame.from_array(pixels, "bgr8", stamp, "camera")))


if __name__ == "__main__":
    main()
