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

"""The coded stream as a topic for Foxglove: ``foxglove_msgs/CompressedVideo``, if that package is installed.

As Foxglove requires, each message is one access unit in Annex B format, with parameter sets before every keyframe and
no B-frames.
"""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable
from typing import Any

from edgecam_ros.conversions import stamp_from_ns
from edgecam_ros.qos import image_qos
from rclpy.node import Node

START_CODE = b"\0\0\0\1"


def message_type() -> Any:
    """The message class; None if foxglove_msgs is not installed."""
    try:
        return importlib.import_module("foxglove_msgs.msg").CompressedVideo
    except ImportError:
        return None


class VideoTopic:
    """Publishes ``video`` while there are subscribers; a new subscriber gets a keyframe.

    Args:
        message: the result of :func:`message_type`.
        video_format: ``h264`` or ``h265``.
        force_keyframe: called when a subscriber joins.
    """

    def __init__(self, node: Node, message: Any, video_format: str, force_keyframe: Callable[[], object]) -> None:
        self._node = node
        self._message = message
        self._format = video_format
        self._force_keyframe = force_keyframe
        self._subscribers = 0
        self._publisher = node.create_publisher(message, "video", image_qos())

    def send(self, nals: list[bytes], stamp_ns: int, frame_id: str) -> None:
        """Publish one access unit; called on the sender's thread."""
        before, self._subscribers = self._subscribers, self._publisher.get_subscription_count()
        if self._subscribers > before:
            self._force_keyframe()
        if self._subscribers:
            data = array.array("B", START_CODE + START_CODE.join(nals))
            stamp = stamp_from_ns(stamp_ns)
            self._publisher.publish(self._message(timestamp=stamp, frame_id=frame_id, data=data, format=self._format))

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
