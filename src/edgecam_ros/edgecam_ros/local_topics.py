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

"""Passes frames between nodes of one process by reference: without a message, a copy or serialisation.

A publisher announces its topic. A node that uses an announced topic subscribes here and creates no DDS subscription.
Topics are identified by their resolved names, so remapping works as usual.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from edgecam_core.types import Frame

if TYPE_CHECKING:
    from edgecam_core.camera.captured_frame import CapturedFrame

T = TypeVar("T")
Receiver = Callable[[Frame], None]


class LocalTopics(Generic[T]):
    """Announced topics and their subscribers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._announced: dict[str, int] = {}
        self._receivers: dict[str, tuple[Callable[[T], None], ...]] = {}

    def announce(self, topic: str) -> None:
        """Announce that this process will publish frames on this topic."""
        with self._lock:
            self._announced[topic] = self._announced.get(topic, 0) + 1

    def withdraw(self, topic: str) -> None:
        """Withdraw one announcement."""
        with self._lock:
            self._announced[topic] = self._announced.get(topic, 1) - 1

    def is_announced(self, topic: str) -> bool:
        with self._lock:
            return self._announced.get(topic, 0) > 0

    def subscribe(self, topic: str, receiver: Callable[[T], None]) -> None:
        """Call ``receiver`` with every frame, on the publisher's thread; it must not block.

        Receivers may keep a frame but must not write to its memory.
        """
        with self._lock:
            self._receivers[topic] = (*self._receivers.get(topic, ()), receiver)

    def unsubscribe(self, topic: str, receiver: Callable[[T], None]) -> None:
        with self._lock:
            left = tuple(one for one in self._receivers.get(topic, ()) if one != receiver)
            self._receivers[topic] = left

    def has_subscribers(self, topic: str) -> bool:
        """Whether there is a subscriber in this process."""
        return bool(self._receivers.get(topic))

    def publish(self, topic: str, frame: T) -> None:
        """Pass a frame to every subscriber. Its memory must not be modified afterwards."""
        for receiver in self._receivers.get(topic, ()):
            receiver(frame)


LOCAL: LocalTopics[Frame] = LocalTopics()
"""Published frames of this process."""

CAPTURED: LocalTopics[CapturedFrame] = LocalTopics()
"""Captured, unconverted frames of this process; valid only during the call."""
