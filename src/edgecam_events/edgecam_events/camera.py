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

"""The subscriptions of one camera: its detections, its coded frames and its size."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError
from edgecam_core.events.clips import JPEG, CodedFrame, access_unit
from edgecam_core.media.image_header import image_size, is_jpeg
from edgecam_core.types import Detection
from edgecam_ros.conversions import ns_from_stamp
from edgecam_ros.detections import detections_from_ros
from edgecam_ros.qos import image_qos, sensor_qos
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from vision_msgs.msg import Detection2DArray

_DEPTH = 10
_JPEG_DEPTH, _VIDEO_DEPTH = 5, 60
ProcessDetections = Callable[[str, int, str, tuple[int, int], list[Detection]], None]


def video_type() -> Any:
    """foxglove_msgs/CompressedVideo; None if that package is not installed."""
    try:
        return importlib.import_module("foxglove_msgs.msg").CompressedVideo
    except ImportError:
        return None


class EventsSubscriptions:
    """The subscriptions in one camera's namespace.

    ``name`` is relative to the node's namespace, ``""`` for the node's own. ``process`` gets the detections of every
    frame as soon as the size of the frames is known; ``frame`` gets every coded frame. Both are called on the
    executor's thread.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        process: ProcessDetections,
        frame: Callable[[str, CodedFrame], None],
        counters: Counters,
        *,
        jpeg: bool,
        video: bool,
    ) -> None:
        prefix = f"{name}/" if name else ""
        self.camera = name or str(node.get_namespace()).rpartition("/")[2] or "camera"
        self.size: tuple[int, int] | None = None
        self.detections, self.coded = Meter(), Meter()
        self.detections_topic = str(node.resolve_topic_name(f"{prefix}detections"))
        self.image_topic = str(node.resolve_topic_name(f"{prefix}image_raw/compressed"))
        self._node, self._process, self._frame, self._counters = node, process, frame, counters
        create = node.create_subscription
        self._subscriptions = [
            create(Detection2DArray, f"{prefix}detections", self._on_detections, _DEPTH),
            create(CameraInfo, f"{prefix}camera_info", self._on_info, sensor_qos()),
        ]
        if jpeg:
            qos = sensor_qos(depth=_JPEG_DEPTH)
            self._subscriptions.append(create(CompressedImage, f"{prefix}image_raw/compressed", self._on_jpeg, qos))
        if video and (kind := video_type()) is not None:
            self._subscriptions.append(create(kind, f"{prefix}video", self._on_video, image_qos(_VIDEO_DEPTH)))

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_info(self, message: CameraInfo) -> None:
        if message.width and message.height:
            self.size = message.width, message.height

    def _on_detections(self, message: Detection2DArray) -> None:
        self.detections.add(time.monotonic())
        if self.size is None:
            self._counters.add("detections before the image size is known")
            return
        stamp, frame_id = ns_from_stamp(message.header.stamp), message.header.frame_id
        self._process(self.camera, stamp, frame_id, self.size, detections_from_ros(message))

    def _on_jpeg(self, message: CompressedImage) -> None:
        data = bytes(message.data)
        size = image_size(data) if is_jpeg(data) else None
        if size is None or not all(size):
            self._counters.add("compressed image that is not a JPEG")
            return
        if self.size is None:
            self.size = size
        self._take(CodedFrame(ns_from_stamp(message.header.stamp), JPEG, data))

    def _on_video(self, message: Any) -> None:
        try:
            unit = access_unit(ns_from_stamp(message.timestamp), message.format, bytes(message.data))
        except EdgecamError as error:
            self._counters.add(str(error))
            return
        self._take(unit)

    def _take(self, frame: CodedFrame) -> None:
        self.coded.add(time.monotonic())
        self._frame(self.camera, frame)
