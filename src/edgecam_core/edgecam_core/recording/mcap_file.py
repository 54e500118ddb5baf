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

"""Writes one MCAP file that is readable after any crash (https://mcap.dev/spec)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from edgecam_core.errors import MissingDependency
from edgecam_core.recording.message import Message, Topic

try:
    from mcap.writer import CompressionType, Writer
except ImportError as error:  # pragma: no cover - the package demands it
    raise MissingDependency("the Python package mcap", "pip install mcap") from error

CHUNK_BYTES = 1_000_000
LIBRARY = "edgecam"


class McapFile:
    """One file: profile ``ros2``, messages as CDR, in separately compressed chunks (zstd, lz4 or none).

    :meth:`flush` hands everything to the operating system: killing the process afterwards loses nothing. If a write
    fails (full disk), the incomplete chunk is removed. Not thread-safe.

    Raises:
        OSError: from the constructor and every method; the file then ends after its last complete chunk.
    """

    def __init__(self, path: Path, compression: str = "zstd") -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.start_ns = self.end_ns = 0
        self._output = _Output(path)
        self._writer = Writer(self._output, CHUNK_BYTES, CompressionType[compression.upper()])  # type: ignore[arg-type]  # needs write, tell, flush
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._waiting = 0
        self._topics: dict[str, Topic] = {}
        self._writer.start("ros2", LIBRARY)
        self._output.keep()

    @property
    def size(self) -> int:
        """Bytes in the file, and uncompressed bytes in the current chunk."""
        return self._output.tell() + self._waiting

    def write(self, message: Message) -> None:
        """Add a message to the current chunk; a full chunk is written."""
        channel = self._channel(message.topic)
        before = self._output.tell()
        self._writer.add_message(channel, message.log_ns, message.data, message.publish_ns)
        self._waiting += len(message.data)
        if self._output.tell() != before:  # the chunk was full
            self._output.keep()
            self._waiting = 0
        self.start_ns = message.log_ns if not self.counts else min(self.start_ns, message.log_ns)
        self.end_ns = max(self.end_ns, message.log_ns)
        self.counts[message.topic.name] += 1

    def flush(self) -> None:
        """Write the current chunk."""
        self._writer.flush()
        self._output.keep()
        self._waiting = 0

    def close(self, metadata: str = "") -> None:
        """Write the summary and close. ``metadata`` is rosbag2's YAML metadata."""
        try:
            self.flush()
            if metadata:
                self._writer.add_metadata("rosbag2", {"serialized_metadata": metadata})
            self._writer.finish()
            self._output.keep()
        finally:
            self._output.close()

    def abandon(self) -> None:
        """Close without a summary: the file ends after its last complete chunk and is readable."""
        self._output.close()

    def _channel(self, topic: Topic) -> int:
        if topic.name not in self._channels:
            if topic.type not in self._schemas:
                encoding = "ros2msg" if topic.definition else ""
                self._schemas[topic.type] = self._writer.register_schema(
                    topic.type, encoding, topic.definition.encode()
                )
            metadata = {"offered_qos_profiles": topic.qos, "topic_type_hash": topic.type_hash}
            self._channels[topic.name] = self._writer.register_channel(
                topic.name, "cdr", self._schemas[topic.type], metadata
            )
            self._topics[topic.name] = topic
        return self._channels[topic.name]


class _Output:
    """A new unbuffered file. Data of a failed write after the last :meth:`keep` is cut off."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        self._at = self._kept = 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                written = os.write(self._file, rest)
                rest, self._at = rest[written:], self._at + written
        except OSError:
            os.ftruncate(self._file, self._kept)
            raise
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing to do: writes are unbuffered."""

    def keep(self) -> None:
        """Mark everything written so far as complete."""
        self._kept = self._at

    def close(self) -> None:
        if self._file >= 0:
            file, self._file = self._file, -1
            if self._at != self._kept:
                os.ftruncate(file, self._kept)
            os.close(file)
