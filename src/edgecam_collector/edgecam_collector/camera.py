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

"""The subscriptions of one camera: joins frames and detections by stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from edgecam_core.collect.joiner import StampJoiner
from edgecam_core.collect.observation import Observation
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.types import Detection, Frame
from edgecam_ros.conversions import image_from_ros, ns_from_stamp
from edgecam_ros.detections import detections_from_ros
from edgecam_ros.qos import sensor_qos
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

_DEPTH = 10


@dataclass(frozen=True, slots=True)
class _Found:
    live: tuple[Detection, ...]
    shadow: tuple[Detection, ...] | None


class CollectorSubscriptions:
    """The subscriptions in one camera's namespace.

    ``name`` is relative to the node's namespace, ``""`` for the node's own. With ``compressed`` the frames come from
    ``image_raw/compressed`` and keep their bytes. With ``shadow`` an observation also waits for the shadow model's
    detections. ``examine`` gets every observation, on the executor's thread.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        examine: Callable[[Observation], None],
        counters: Counters,
        *,
        compressed: bool,
        shadow: bool,
        reliability: str,
    ) -> None:
        self.name = name
        self._examine = examine
        self._counters = counters
        self._frames: StampJoiner[Frame | CompressedImage, _Found] = StampJoiner()
        self._models: StampJoiner[tuple[Detection, ...], tuple[Detection, ...]] | None = (
            StampJoiner() if shadow else None
        )
        prefix = f"{name}/" if name else ""
        topic = f"{prefix}image_raw/compressed" if compressed else f"{prefix}image_raw"
        self.image_topic = str(node.resolve_topic_name(topic))
        self.camera = self.image_topic.removesuffix("/compressed").rpartition("/")[0].strip("/") or "camera"
        kind, take = (CompressedImage, self._on_compressed) if compressed else (Image, self._on_image)
        self._subscriptions = [
            node.create_subscription(kind, topic, take, sensor_qos(reliability)),
            node.create_subscription(Detection2DArray, f"{prefix}detections", self._on_detections, _DEPTH),
        ]
        if shadow:
            self._subscriptions.append(
                node.create_subscription(Detection2DArray, f"{prefix}shadow/detections", self._on_shadow, _DEPTH)
            )
        self._node = node

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._frames.clear()

    def _on_image(self, message: Image) -> None:
        try:
            frame = image_from_ros(message)
        except ImageError as error:
            self._counters.add(str(error))
            return
        self._joined(self._frames.frame(frame.stamp_ns, frame, len(frame.data)))

    def _on_compressed(self, message: CompressedImage) -> None:
        self._joined(self._frames.frame(ns_from_stamp(message.header.stamp), message, len(message.data)))

    def _on_detections(self, message: Detection2DArray) -> None:
        stamp, found = ns_from_stamp(message.header.stamp), tuple(detections_from_ros(message))
        if self._models is None:
            self._joined(self._frames.detections(stamp, _Found(found, None)))
        elif (both := self._models.frame(stamp, found, 1)) is not None:
            self._joined(self._frames.detections(stamp, _Found(*both)))

    def _on_shadow(self, message: Detection2DArray) -> None:
        stamp, found = ns_from_stamp(message.header.stamp), tuple(detections_from_ros(message))
        if self._models is not None and (both := self._models.detections(stamp, found)) is not None:
            self._joined(self._frames.detections(stamp, _Found(*both)))

    def _joined(self, pair: tuple[Frame | CompressedImage, _Found] | None) -> None:
        if pair is None:
            return
        image, found = pair
        try:
            frame, encoded = (image, None) if isinstance(image, Frame) else _decoded(image)
        except EdgecamError as error:
            self._counters.add(str(error))
            return
        self._examine(Observation(self.camera, frame, found.live, found.shadow, encoded=encoded))


def _decoded(message: CompressedImage) -> tuple[Frame, bytes]:
    data = np.frombuffer(message.data, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise ImageError(f"a compressed image of {len(data)} bytes ({message.format!r}) cannot be decoded")
    return Frame.from_array(pixels, "bgr8", ns_from_stamp(message.header.stamp), message.header.frame_id), bytes(data)
