"""What the detector can find, said once to everyone: label_info and vision_info."""

from __future__ import annotations

from edgecam_core.models.detector import Detector
from edgecam_ros.qos import latched_qos
from rclpy.node import Node
from vision_msgs.msg import LabelInfo, VisionClass, VisionInfo

from edgecam_detector.settings import DetectorNodeSettings


class ClassFacts:
    """Latched publishers; whoever subscribes later still gets the last message."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._labels = node.create_publisher(LabelInfo, "label_info", latched_qos())
        self._vision = node.create_publisher(VisionInfo, "vision_info", latched_qos())

    def publish(self, detector: Detector, settings: DetectorNodeSettings) -> None:
        """Classes, threshold and method as they are now."""
        labels = LabelInfo()
        labels.header.stamp = self._node.get_clock().now().to_msg()
        labels.class_map = [VisionClass(class_id=number, class_name=label) for number, label in detector.classes()]
        labels.threshold = settings.confidence_threshold
        self._labels.publish(labels)
        vision = VisionInfo(method=f"{detector.family.name}, {detector.runner.description}")
        vision.header.stamp = labels.header.stamp
        # The class database is the latched topic; the model file is where its names come from.
        vision.database_location = self._node.resolve_topic_name("label_info")
        vision.database_version = int(detector.model.sha256[:7], 16)
        self._vision.publish(vision)

    def close(self) -> None:
        self._node.destroy_publisher(self._labels)
        self._node.destroy_publisher(self._vision)
