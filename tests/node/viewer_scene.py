"""A simulated camera and detector for viewer tests: a moving bright square and a detection exactly on it."""

from __future__ import annotations

import threading

import numpy as np
from edgecam_core.types import Detections, Frame
from edgecam_ros.conversions import image_to_ros
from edgecam_ros.detections import detections_to_ros
from edgecam_ros.qos import image_qos
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

WIDTH, HEIGHT, SIDE = 640, 480, 120
SQUARE_BGR = (40, 220, 250)
LABELS = ("giraffe", "zebra")


def square(count: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the square in frame ``count``."""
    x = (count * 4) % (WIDTH - SIDE)
    y = 180 + int(100 * np.sin(count / 20))
    return x, y, x + SIDE, y + SIDE


def pixels_of(count: int) -> np.ndarray:
    """bgr8 (480, 640, 3): a grey ramp with the square on it."""
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = np.linspace(20, 110, WIDTH, dtype=np.uint8)[None, :, None]
    x1, y1, x2, y2 = square(count)
    pixels[y1:y2, x1:x2] = SQUARE_BGR
    return pixels


def found(count: int) -> Detections:
    """One detection on the square, and a fixed one of another class with a score of 0.5."""
    boxes = np.array([square(count), (20, 20, 90, 80)], np.float32)
    return Detections(boxes, np.array([0.97, 0.55], np.float32), np.array([0, 1], np.int32), LABELS)


class ViewerScene:
    """Publishes ``image_raw`` and ``detections`` in a namespace at a given rate from a separate thread."""

    def __init__(self, namespace: str, fps: float = 5.0, detect: bool = True) -> None:
        self._context = Context()
        self._context.init()
        self.node = Node("scene", namespace=namespace, context=self._context)
        self._images = self.node.create_publisher(Image, "image_raw", image_qos())
        self._results = self.node.create_publisher(Detection2DArray, "detections", 10)
        self.detect = detect
        self.count = 0
        self.node.create_timer(1.0 / fps, self._tick)
        self.executor = SingleThreadedExecutor(context=self._context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self.executor.spin, daemon=True)

    def __enter__(self) -> ViewerScene:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.executor.shutdown()
        self._thread.join(60)
        self.node.destroy_node()
        self._context.try_shutdown()

    def _tick(self) -> None:
        stamp_ns = self.node.get_clock().now().nanoseconds
        message = image_to_ros(Frame.from_array(pixels_of(self.count), "bgr8", stamp_ns, "camera_optical_frame"))
        self._images.publish(message)
        if self.detect:
            self._results.publish(detections_to_ros(found(self.count), message.header))
        self.count += 1
