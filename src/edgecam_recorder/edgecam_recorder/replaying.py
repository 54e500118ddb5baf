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

"""Publishes the messages of a recording with their types and QoS, and its time on /clock."""

from __future__ import annotations

import time
from typing import Any

from edgecam_core.recording.message import Message, Topic
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from edgecam_recorder.subscriptions import message_class, profile

CLOCK = "/clock"
_DEPTH, _LATCHED_DEPTH = 10, 100


class Republisher:
    """One publisher per topic, and one for ``/clock``.

    Raises:
        RecordingError: the package of a message type is not installed.
    """

    def __init__(self, node: Node, topics: list[Topic], clock: bool, prefix: str = "") -> None:
        self._publishers: dict[str, Any] = {
            topic.name: node.create_publisher(
                message_class(topic.type),
                f"{prefix}{topic.name}",
                profile(topic, _LATCHED_DEPTH if topic.latched else _DEPTH),
            )
            for topic in topics
            if not (clock and topic.name == CLOCK)
        }
        self._clock: Any = node.create_publisher(Clock, CLOCK, 10) if clock else None
        self.published = 0

    def publish(self, message: Message) -> None:
        """Publish a message, unless its topic is not played."""
        publisher = self._publishers.get(message.topic.name)
        if publisher is not None:
            publisher.publish(message.data)
            self.published += 1

    def publish_time(self, now_ns: int) -> None:
        """Publish the time of the recording on ``/clock``."""
        if self._clock is not None:
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(now_ns, 10**9)
            self._clock.publish(clock)

    def finish(self, seconds: float = 5.0) -> None:
        """Wait until all reliable subscribers have the messages, at most this long."""
        end = time.monotonic() + seconds
        for publisher in (*self._publishers.values(), self._clock):
            if publisher is not None:
                publisher.wait_for_all_acked(Duration(seconds=max(0.0, end - time.monotonic())))
