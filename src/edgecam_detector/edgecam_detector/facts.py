"""What the detector can find, said once to everyone: label_info, vision_info and the parameter class_names."""

from __future__ import annotations

from edgecam_core.models.detector import Detector
from edgecam_ros.qos import latched_qos
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from vision_msgs.msg import LabelInfo, VisionClass, VisionInfo

from edgecam_detector.settings import DetectorNodeSettings

CLASS_NAMES = "class_names"
_TEXT = "The model's labels in class order, set by the node itself."


class ClassFacts:
    """Latched publishers (whoever subscribes later still gets the last message) and a read-only parameter."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._labels = node.create_publisher(LabelInfo, "label_info", latched_qos())
        self._vision = node.create_publisher(VisionInfo, "vision_info", latched_qos())

    def publish(self, detector: Detector, settings: DetectorNodeSettings) -> None:
        """Classes, threshold and method as they are now."""
        if not self._node.has_parameter(CLASS_NAMES):
            told = ParameterDescriptor(description=_TEXT, read_only=True)
            self._node.declare_parameter(CLASS_NAMES, list(detector.labels), told, ignore_override=True)
        labels = LabelInfo()
        labels.header.stamp = self._node.get_clock().now().to_msg()
        labels.class_map = [VisionClass(class_id=number, class_name=label) for number, label in detector.classes()]
        labels.threshold = settings.confidence_threshold
        self._labels.publish(labels)
        vision = VisionInfo(method=f"{detector.family.name}, {detector.runner.description}")
        vision.header.stamp = labels.header.stamp
        vision.database_location = f"{self._node.get_fully_qualified_name()}/{CLASS_NAMES}"
        vision.database_version = int(detector.model.sha256[:7], 16)
        self._vision.publish(vision)

    def close(self) -> None:
        self._node.destroy_publisher(self._labels)
        self._node.destroy_publisher(self._vision)
