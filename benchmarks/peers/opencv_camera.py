"""A typical camera node: cv2.VideoCapture and cv_bridge. Usage: opencv_camera FILE; prints one JSON line."""

from __future__ import annotations

import sys

import cv2
import rclpy
from cv_bridge import CvBridge
from sensor_msgs.msg import Image

from benchmarks.peers.spent import Spent


def main() -> None:
    rclpy.init()
    node = rclpy.create_node("opencv_camera")
    publisher = node.create_publisher(Image, "image_raw", 10)
    bridge = CvBridge()
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.1)
    spent, frames = Spent(), 0
    capture = cv2.VideoCapture(sys.argv[1])
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        message = bridge.cv2_to_imgmsg(frame, "bgr8")
        message.header.stamp = node.get_clock().now().to_msg()
        message.header.frame_id = "camera"
        publisher.publish(message)
        frames += 1
    spent.report(frames)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
