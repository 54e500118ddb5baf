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

"""Plays a recording back in real time or at another rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator

from edgecam_core.recording.message import Message, RecordingError
from edgecam_core.recording.reader import Recording

_TICK = 0.01  # seconds


class Playback:
    """Yields messages when they are due.

    Args:
        topics: play only these; empty: all.
        rate: 2.0 is twice as fast; 0 is as fast as the consumer can.
        offset: seconds to skip at the start of the recording.
        loop: repeat until :meth:`stop`.

    ``on_time`` is called with the time in the recording: before each message and, while waiting, every 10 ms.

    Raises:
        RecordingError: a topic is not in the recording, or nothing follows the offset.
    """

    def __init__(
        self,
        recording: Recording,
        topics: Collection[str] = (),
        rate: float = 1.0,
        offset: float = 0.0,
        loop: bool = False,
    ) -> None:
        check_topics(recording, topics)
        self._recording = recording
        self._topics = topics
        self._rate = rate
        self._since_ns = recording.start_ns + round(offset * 1e9)
        self._loop = loop
        self.on_time: Callable[[int], object] | None = None
        self._stopping = threading.Event()
        if not recording.end_ns or self._since_ns > recording.end_ns:
            seconds = (recording.end_ns - recording.start_ns) / 1e9
            what = f"nothing after {offset:g} s; it has {seconds:.1f} s" if recording.end_ns else "no messages"
            raise RecordingError(f"the recording has {what}")

    def stop(self) -> None:
        """End the iteration. Thread-safe."""
        self._stopping.set()

    def __iter__(self) -> Iterator[Message]:
        """Blocks until the next message is due."""
        while not self._stopping.is_set():
            yield from self._pass()
            if not self._loop:
                return

    def _pass(self) -> Iterator[Message]:
        """Play the recording once."""
        began = time.monotonic()
        for message in self._recording.messages(self._topics, self._since_ns):
            if self._rate:
                self._wait_until(message.log_ns, began)
            if self._stopping.is_set():
                return
            if self.on_time:
                self.on_time(message.log_ns)
            yield message

    def _wait_until(self, log_ns: int, began: float) -> None:
        """Wait until a message is due; ``began`` is the monotonic time of the start of this pass."""
        due = began + (log_ns - self._since_ns) / 1e9 / self._rate
        while (left := due - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _TICK) if self.on_time else left):
                return
            if self.on_time:
                self.on_time(log_ns - round(max(0.0, due - time.monotonic()) * self._rate * 1e9))


def check_topics(recording: Recording, topics: Collection[str]) -> None:
    """Raise RecordingError if one of the topics is not in the recording."""
    for topic in topics:
        if topic not in recording.topics:
            known = ", ".join(sorted(recording.topics)) or "none"
            raise RecordingError(f"topic {topic} is not in the recording; its topics are {known}")


def image_topic(recording: Recording, types: Collection[str], topic: str = "") -> str:
    """The topic to show: ``topic`` if it is given, else the only one of these types.

    Raises:
        RecordingError: the topic does not exist or has another type, or there is none or more than one of these types.
    """
    candidates = sorted(name for name, one in recording.topics.items() if one.type in types)
    if topic:
        check_topics(recording, [topic])
        if topic not in candidates:
            type_ = recording.topics[topic].type
            names = ", ".join(candidates) or "none"
            raise RecordingError(f"topic {topic} has type {type_}; topics with images are {names}")
        return topic
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise RecordingError(f"topic must be given: {', '.join(candidates)} have images")
    raise RecordingError(f"no topic has images; its topics are {', '.join(sorted(recording.topics)) or 'none'}")
