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

"""Plays a recording back at its own speed."""

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
        rate: 2.0 is twice as fast; 0 is as fast as the consumer goes.
        offset: seconds of the recording to leave out at its start.
        loop: begin again at the end, until ``stop``.

    ``on_time`` is called with the time in the recording before each message and, in between, every 10 ms.

    Raises:
        RecordingError: a topic is not in the recording, or nothing is left after the offset.
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
        """End the iteration; from any thread."""
        self._stopping.set()

    def __iter__(self) -> Iterator[Message]:
        """Blocks until the next message is due."""
        while not self._stopping.is_set():
            yield from self._round()
            if not self._loop:
                return

    def _round(self) -> Iterator[Message]:
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
        """Wait for a message's time; ``began`` is the monotonic time of this round's start."""
        due = began + (log_ns - self._since_ns) / 1e9 / self._rate
        while (left := due - time.monotonic()) > 0:
            if self._stopping.wait(min(left, _TICK) if self.on_time else left):
                return
            if self.on_time:
                self.on_time(log_ns - round(max(0.0, due - time.monotonic()) * self._rate * 1e9))


def check_topics(recording: Recording, topics: Collection[str]) -> None:
    """Raise RecordingError where one of them is not in the recording."""
    for topic in topics:
        if topic not in recording.topics:
            known = ", ".join(sorted(recording.topics)) or "none"
            raise RecordingError(f"topic {topic} is not in the recording; its topics are {known}")


def image_topic(recording: Recording, types: Collection[str], asked: str = "") -> str:
    """The topic to show: ``asked``, or the only one of these types.

    Raises:
        RecordingError: it is not there, of another type, or there are several.
    """
    shown = sorted(name for name, topic in recording.topics.items() if topic.type in types)
    if asked:
        check_topics(recording, [asked])
        if asked not in shown:
            kind = recording.topics[asked].type
            raise RecordingError(f"topic {asked} carries {kind}; topics with images are {', '.join(shown) or 'none'}")
        return asked
    if len(shown) == 1:
        return shown[0]
    if shown:
        raise RecordingError(f"topic must be given: {', '.join(shown)} carry images")
    raise RecordingError(f"no topic carries images; its topics are {', '.join(sorted(recording.topics)) or 'none'}")
