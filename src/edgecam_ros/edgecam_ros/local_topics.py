"""Frames between nodes of one process: the same memory, no message, no serialisation.

A publisher announces its topic, a subscriber that finds the topic announced takes the frames from here and makes no
DDS subscription. Topics are told apart by their resolved names, so remapping works as always.
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
    """What is announced and who listens. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._announced: dict[str, int] = {}
        self._receivers: dict[str, tuple[Callable[[T], None], ...]] = {}

    def announce(self, topic: str) -> None:
        """Say that frames of this topic will be published in this process."""
        with self._lock:
            self._announced[topic] = self._announced.get(topic, 0) + 1

    def withdraw(self, topic: str) -> None:
        """Take one announcement back."""
        with self._lock:
            self._announced[topic] = self._announced.get(topic, 1) - 1

    def is_announced(self, topic: str) -> bool:
        with self._lock:
            return self._announced.get(topic, 0) > 0

    def subscribe(self, topic: str, receiver: Callable[[T], None]) -> None:
        """Have ``receiver`` called with every frame, on the publisher's thread: it must not block.

        A frame's memory belongs to whoever holds the frame; nobody may write to it.
        """
        with self._lock:
            self._receivers[topic] = (*self._receivers.get(topic, ()), receiver)

    def unsubscribe(self, topic: str, receiver: Callable[[T], None]) -> None:
        with self._lock:
            left = tuple(one for one in self._receivers.get(topic, ()) if one != receiver)
            self._receivers[topic] = left

    def wanted(self, topic: str) -> bool:
        """Whether anybody in this process listens."""
        return bool(self._receivers.get(topic))

    def publish(self, topic: str, frame: T) -> None:
        """Hand a frame to every listener. Its memory must not be written to afterwards."""
        for receiver in self._receivers.get(topic, ()):
            receiver(frame)


LOCAL: LocalTopics[Frame] = LocalTopics()
"""The frames of this process as they are published."""

CAPTURED: LocalTopics[CapturedFrame] = LocalTopics()
"""The frames of this process as the camera gives them, unconverted; valid during the call only."""
