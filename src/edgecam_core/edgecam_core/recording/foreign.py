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

"""Reads SQLite bags of rosbag2 through the package rosbags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from edgecam_core.errors import MissingDependency
from edgecam_core.recording import qos
from edgecam_core.recording.message import Message, RecordingError, Topic


class ForeignRecording:
    """A rosbag2 folder or .db3 file.

    Raises:
        MissingDependency: rosbags is not installed.
        RecordingError: the bag cannot be read.
    """

    damage = ""

    def __init__(self, path: Path) -> None:
        try:
            from rosbags.interfaces import ConnectionExtRosbag2
            from rosbags.rosbag2 import Reader
        except ImportError as error:
            raise MissingDependency(f"rosbags, which reads the SQLite bag {path},", "pip install rosbags") from error
        try:
            self._reader: Any = Reader(path)
            self._reader.open()
        except Exception as error:  # includes those of SQLite
            raise RecordingError(f"the bag {path} cannot be read: {error}") from error
        self.path = path
        self.topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            profiles = connection.ext.offered_qos_profiles if isinstance(connection.ext, ConnectionExtRosbag2) else []
            text = qos.dump([_qos(one) for one in profiles])
            self.topics[connection.topic] = Topic(
                connection.topic, connection.msgtype, text, connection.digest or "", latched=qos.is_latched(text)
            )
        self.start_ns = int(self._reader.start_time)
        self.end_ns = int(self._reader.end_time) - 1

    def messages(self, topics: Collection[str] = (), since_ns: int = 0) -> Iterator[Message]:
        """See :class:`~edgecam_core.recording.reader.Recording`. Raises RecordingError if the bag is damaged."""
        connections = [one for one in self._reader.connections if not topics or one.topic in topics]
        if not connections:
            return
        try:
            for connection, log_ns, data in self._reader.messages(connections=connections, start=since_ns):
                yield Message(self.topics[connection.topic], log_ns, log_ns, bytes(data))
        except Exception as error:
            raise RecordingError(f"the bag {self.path} is damaged: {error}") from error

    def close(self) -> None:
        self._reader.close()


def _qos(profile: Any) -> qos.Qos:
    return qos.Qos(
        profile.history.name.lower(),
        profile.depth,
        profile.reliability.name.lower(),
        profile.durability.name.lower(),
        _ns(profile.deadline),
        _ns(profile.lifespan),
        profile.liveliness.name.lower(),
        _ns(profile.liveliness_lease_duration),
    )


def _ns(time: Any) -> int:
    return min(time.sec * 10**9 + time.nsec, qos.FOREVER_NS)
