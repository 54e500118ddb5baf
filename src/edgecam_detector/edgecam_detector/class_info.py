# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The classes of the detector: topics label_info and vision_info, parameter class_names."""

from __future__ import annotations

from edgecam_core.models.detector import Detector
from edgecam_ros.qos import latched_qos
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from vision_msgs.msg import LabelInfo, VisionClass, VisionInfo

from edgecam_detector.settings import DetectorNodeSettings

CLASS_NAMES = "class_names"
_TEXT = "The model's labels in class order, set by the node itself."


class ClassInfo:
    """Publishes the classes on latched topics (late subscribers get the last message) and as a read-only parameter."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._version = 0
        self._model = ""
        self._setting = False
        node.add_on_set_parameters_callback(self._refuse_names)
        self._labels = node.create_publisher(LabelInfo, "label_info", latched_qos())
        self._vision = node.create_publisher(VisionInfo, "vision_info", latched_qos())

    def publish(self, detector: Detector, settings: DetectorNodeSettings) -> None:
        """Publish the current classes, threshold and method."""
        if detector.model.sha256 != self._model:
            self._model, self._version = detector.model.sha256, self._version + 1
            self._set_names(list(detector.labels))
        labels = LabelInfo()
        labels.header.stamp = self._node.get_clock().now().to_msg()
        labels.class_map = [VisionClass(class_id=number, class_name=label) for number, label in detector.classes()]
        labels.threshold = settings.confidence_threshold
        self._labels.publish(labels)
        vision = VisionInfo(method=f"{detector.family.name}, {detector.runner.description}, sha256 {self._model[:12]}")
        vision.header.stamp = labels.header.stamp
        vision.database_location = f"{self._node.get_fully_qualified_name()}/{CLASS_NAMES}"
        vision.database_version = self._version
        self._vision.publish(vision)

    def _set_names(self, names: list[str]) -> None:
        self._setting = True
        try:
            if self._node.has_parameter(CLASS_NAMES):
                self._node.set_parameters([Parameter(CLASS_NAMES, value=names)])
            else:
                descriptor = ParameterDescriptor(description=_TEXT)
                self._node.declare_parameter(CLASS_NAMES, names, descriptor, ignore_override=True)
        finally:
            self._setting = False

    def _refuse_names(self, changes: list[Parameter]) -> SetParametersResult:
        """Refuse changes by others. A parameter declared read-only could not be updated for a new model."""
        if not self._setting and any(change.name == CLASS_NAMES for change in changes):
            reason = f"parameter '{CLASS_NAMES}' is set by the node; it follows the model"
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def close(self) -> None:
        self._node.remove_on_set_parameters_callback(self._refuse_names)
        self._node.destroy_publisher(self._labels)
        self._node.destroy_publisher(self._vision)
