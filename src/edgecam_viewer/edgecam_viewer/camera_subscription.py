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

"""One camera in the viewer node: its two subscriptions, its feed and its statistics."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgecam_core.counters import Counters
from edgecam_core.errors import ImageError
from edgecam_core.tracer import TRACER
from edgecam_ros.conversions import image_from_ros, ns_from_stamp
from edgecam_ros.detections import detections_from_ros
from edgecam_ros.qos import sensor_qos
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from edgecam_viewer.feed import AnnotatedFrame, Feed
from edgecam_viewer.status import CameraStats
from edgecam_viewer.text import one_line
from edgecam_viewer.wire import found_list

LINGER = 3.0  # seconds for which the images stay subscribed after the last viewer has left


def camera_name(topic: str) -> str:
    """A short name from a resolved image topic: ``/camera/stream/image_raw`` is ``camera/stream``."""
    parts = topic.strip("/").split("/")
    return "/".join(parts[:-1] or parts)


class CameraSubscription:
    """Subscribes to the detections always, and to the images, which are large, only while a viewer is connected.

    All methods run on the executor's thread. ``show`` receives every frame to encode.
    """

    def __init__(
        self,
        node: Node,
        topics: tuple[str, str],
        reliability: str,
        max_fps: float,
        show: Callable[[AnnotatedFrame], None],
    ) -> None:
        self._node = node
        self._image_topic, detections_topic = topics
        self._reliability = reliability
        self._show = show
        self._images: Subscription | None = None
        self._watched_at = float("-inf")
        self.feed = Feed(max_fps)
        self.counters = Counters()
        self.stats = CameraStats(camera_name(node.resolve_topic_name(self._image_topic)))
        self.topic = node.resolve_topic_name(self._image_topic)
        # The other nodes of the pipeline report in the namespace of the detections.
        topic = node.resolve_topic_name(detections_topic or self._image_topic)
        self.namespace = topic.strip("/").rpartition("/")[0]
        self._results = (
            node.create_subscription(Detection2DArray, detections_topic, self._on_detections, 10)
            if detections_topic
            else None
        )

    def watch(self, watched: bool, now: float) -> None:
        """Subscribe while there are viewers, otherwise unsubscribe; called several times per second."""
        if watched:
            self._watched_at = now
        needed = now - self._watched_at < LINGER
        if needed and self._images is None:
            self._images = self._node.create_subscription(
                Image, self._image_topic, self._on_image, sensor_qos(self._reliability)
            )
        elif not needed and self._images is not None:
            self._node.destroy_subscription(self._images)
            self._images = None
            self.feed.clear()

    def publishers(self) -> int:
        """Number of publishers of the images."""
        return self._node.count_publishers(self.topic)

    def close(self) -> None:
        for subscription in (self._images, self._results):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._images = self._results = None

    def _on_image(self, message: Image) -> None:
        now = time.monotonic()
        self.stats.frame(now)
        try:
            frame = image_from_ros(message)
        except ImageError as error:
            self.counters.add(f"frame refused: {one_line(str(error), 200)}")
            return
        self._offer(self.feed.add_frame(frame, now))

    def _on_detections(self, message: Detection2DArray) -> None:
        now = time.monotonic()
        stamp_ns = ns_from_stamp(message.header.stamp)
        TRACER.reached("viewer.received", stamp_ns)
        found = found_list(detections_from_ros(message))
        latency = (self._node.get_clock().now().nanoseconds - stamp_ns) * 1e-9
        self.stats.found(found, latency, now)
        if self._images is not None:
            self._offer(self.feed.add_detections(stamp_ns, found, now))

    def _offer(self, annotated: AnnotatedFrame | None) -> None:
        if annotated is not None:
            self._show(annotated)
