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

"""The topics of one camera: subscribes to its frames, publishes their detections."""

from __future__ import annotations

from collections.abc import Callable

from edgecam_core.images.overlay import draw
from edgecam_core.types import Detections, Frame
from edgecam_ros.conversions import image_to_ros
from edgecam_ros.detections import detections_to_ros
from edgecam_ros.local_topics import LOCAL, Receiver
from edgecam_ros.qos import image_qos, sensor_qos
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

RESULT_DEPTH = 10


class CameraTopics:
    """The topics in one camera's namespace. ``name`` is relative to the node's namespace, ``""`` for the node's own."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self._node = node
        self._image_topic = self._topic("image_raw")
        self._detections = node.create_publisher(Detection2DArray, self._topic("detections"), RESULT_DEPTH)
        self._overlay = node.create_publisher(Image, self._topic("overlay"), image_qos())
        self._shadow: Publisher | None = None
        self._subscription: Subscription | None = None
        self._local: Receiver | None = None

    def _topic(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def subscribe(
        self, on_message: Callable[[str, Image], None], on_frame: Callable[[str, Frame], None], reliability: str
    ) -> None:
        """Call ``on_message(name, message)`` for each image on the topic.

        If the camera node is in this process, call ``on_frame(name, frame)`` on the camera's thread instead.
        """
        if LOCAL.is_announced(self.image_topic_of()):
            self._local = lambda frame: on_frame(self.name, frame)
            LOCAL.subscribe(self.image_topic_of(), self._local)
            return
        # One message: if the node is late, an older one would only be replaced, or, worse, be used.
        qos = sensor_qos(reliability, depth=1)
        self._subscription = self._node.create_subscription(
            Image, self._image_topic, lambda message: on_message(self.name, message), qos
        )

    def unsubscribe(self) -> None:
        """Stop the calls of :meth:`subscribe`."""
        if self._local is not None:
            LOCAL.unsubscribe(self.image_topic_of(), self._local)
            self._local = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publish(self, frame: Frame, header: Header, detections: Detections, class_id_format: str) -> None:
        """Publish the detections, even if there are none, and the frame with boxes if ``overlay`` has subscribers."""
        self._detections.publish(detections_to_ros(detections, header, class_id_format))
        if self._overlay.get_subscription_count() > 0:
            bgr = frame.bgr()
            if not bgr.flags.writeable or bgr.base is not None:  # a view of the message, which others may use
                bgr = bgr.copy()
            drawn = Frame.from_array(draw(bgr, detections), "bgr8")
            message = image_to_ros(drawn)
            message.header = header
            self._overlay.publish(message)

    def publish_shadow(self, header: Header, detections: Detections, class_id_format: str) -> None:
        """Publish the shadow model's detections; the first call creates the topic."""
        if self._shadow is None:
            self._shadow = self._node.create_publisher(Detection2DArray, self._topic("shadow/detections"), RESULT_DEPTH)
        self._shadow.publish(detections_to_ros(detections, header, class_id_format))

    def image_topic_of(self) -> str:
        """The image topic after remapping."""
        return str(self._node.resolve_topic_name(self._image_topic))

    def close(self) -> None:
        self.unsubscribe()
        self._node.destroy_publisher(self._detections)
        self._node.destroy_publisher(self._overlay)
        if self._shadow is not None:
            self._node.destroy_publisher(self._shadow)
