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

"""A recording on disk in rosbag2's layout: a folder of MCAP files with metadata.yaml, or a single file."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from edgecam_core.files import write_atomically
from edgecam_core.recording import qos
from edgecam_core.recording.mcap_file import McapFile
from edgecam_core.recording.message import Message, RecordingError, Topic
from edgecam_core.recording.settings import RecorderSettings

METADATA = "metadata.yaml"
VERSION = 9
"""Version of rosbag2's metadata: Jazzy and newer."""
MEGABYTE = 1e6
_SECOND = 1_000_000_000
_LATCHED = 50  # messages per latched topic that are repeated at the start of each file


@dataclass(frozen=True)
class _Stored:
    """A complete file."""

    path: Path
    start_ns: int
    end_ns: int
    size: int
    counts: Counter[str]


class Bag:
    """One recording that is being written. Not thread-safe.

    A ``path`` that ends in ``.mcap`` is a single file that is never split; any other is a new folder. In rolling mode
    each file starts with the messages of latched topics (``/tf_static``, ``label_info``), because the first file will
    be deleted.

    Raises:
        RecordingError: ``path`` exists.
        OSError: from the constructor, ``write``, ``flush`` and ``close``.
    """

    def __init__(self, path: Path, settings: RecorderSettings) -> None:
        self.path = path
        self.settings = settings
        self.topics: dict[str, Topic] = {}
        self._single = path.suffix == ".mcap"
        self._stored: list[_Stored] = []
        self._latched: dict[str, deque[Message]] = {}
        self._number = self._began_ns = 0
        if path.exists():
            raise RecordingError(f"{path} exists; choose another name, recordings are never overwritten")
        (path.parent if self._single else path).mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    @property
    def size(self) -> int:
        """Bytes on disk and in the current chunk."""
        return sum(one.size for one in self._stored) + self._file.size

    @property
    def file(self) -> Path:
        """The file that is being written."""
        return self._file.path

    def write(self, message: Message) -> None:
        """Add a message; starts a new file if a limit is reached."""
        if self._is_full(message):
            self._split(message.log_ns)
        if not self._file.counts:
            self._began_ns = message.log_ns
        self.topics[message.topic.name] = message.topic
        if message.topic.latched and self.settings.rolling:
            self._latched.setdefault(message.topic.name, deque(maxlen=_LATCHED)).append(message)
        self._file.write(message)

    def flush(self) -> None:
        """Write the current chunk; in rolling mode, delete the files that are no longer needed."""
        self._file.flush()
        if self.settings.rolling and self._drop_oldest():
            self._write_metadata()

    def drop_file(self) -> bool:
        """In rolling mode, delete the oldest complete file. Returns False if there is none."""
        if not (self.settings.rolling and self._stored):
            return False
        self._stored.pop(0).path.unlink(missing_ok=True)
        self._write_metadata()
        return True

    def over_limit(self) -> bool:
        """Whether the recording is larger than max_megabytes."""
        limit = self.settings.max_megabytes * MEGABYTE
        return bool(limit) and self.size > limit

    def close(self) -> None:
        """Complete the recording."""
        self._finish()
        self._write_metadata()

    def abandon(self) -> None:
        """Close after a failed write. All complete chunks remain; the last file has no summary."""
        self._file.abandon()
        if self._file.path.stat().st_size and self._file.counts:
            self._stored.append(self._facts())
        self._write_metadata()

    def _open(self) -> McapFile:
        path = self.path if self._single else self.path / f"{self.path.name}_{self._number}.mcap"
        self._number += 1
        return McapFile(path, self.settings.compression)

    def _is_full(self, message: Message) -> bool:
        file, settings = self._file, self.settings
        if self._single or not file.counts:
            return False
        if settings.split_megabytes and file.size + len(message.data) > settings.split_megabytes * MEGABYTE:
            return True
        return bool(settings.file_seconds) and message.log_ns - self._began_ns >= settings.file_seconds * _SECOND

    def _split(self, now_ns: int) -> None:
        self._finish()
        self._file = self._open()
        self._began_ns = now_ns
        for messages in self._latched.values():
            for message in messages:
                self._file.write(replace(message, log_ns=now_ns))
        self._drop_oldest()
        self._write_metadata()

    def _finish(self) -> None:
        """Complete the current file, with rosbag2's metadata inside."""
        text = _dump(self._information([*self._stored, self._facts()]))
        self._file.close(text)
        self._stored.append(self._facts())

    def _facts(self) -> _Stored:
        file = self._file
        size = file.path.stat().st_size
        return _Stored(file.path, file.start_ns, file.end_ns, size, file.counts)

    def _drop_oldest(self) -> bool:
        """In rolling mode, delete files older than rolling_seconds, and the oldest ones above max_megabytes."""
        if not self.settings.rolling:
            return False
        before = len(self._stored)
        newest = max([self._file.end_ns, *(one.end_ns for one in self._stored)])
        since = newest - self.settings.rolling_seconds * _SECOND
        while self._stored and (self._stored[0].end_ns < since or self.over_limit()):
            self._stored.pop(0).path.unlink(missing_ok=True)
        return len(self._stored) != before

    def _write_metadata(self) -> None:
        if not self._single:
            text = _dump({"rosbag2_bagfile_information": self._information(self._stored)})
            write_atomically(self.path / METADATA, text.encode())

    def _information(self, files: list[_Stored]) -> dict[str, object]:
        counts: Counter[str] = sum((one.counts for one in files), Counter())
        written = [one for one in files if one.counts]
        start = min((one.start_ns for one in written), default=0)
        end = max((one.end_ns for one in written), default=0)
        return {
            "version": VERSION,
            "storage_identifier": "mcap",
            "duration": {"nanoseconds": end - start},
            "starting_time": {"nanoseconds_since_epoch": start},
            "message_count": counts.total(),
            "topics_with_message_count": [_topic(topic, counts[topic.name]) for topic in self.topics.values()],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [one.path.name for one in files],
            "files": [_file(one) for one in files],
            "custom_data": None,
            "ros_distro": os.environ.get("ROS_DISTRO", ""),
        }


def _topic(topic: Topic, count: int) -> dict[str, object]:
    metadata = {
        "name": topic.name,
        "type": topic.type,
        "serialization_format": "cdr",
        "offered_qos_profiles": qos.load(topic.qos),
        "type_description_hash": topic.type_hash,
    }
    return {"topic_metadata": metadata, "message_count": count}


def _file(stored: _Stored) -> dict[str, object]:
    return {
        "path": stored.path.name,
        "starting_time": {"nanoseconds_since_epoch": stored.start_ns},
        "duration": {"nanoseconds": stored.end_ns - stored.start_ns},
        "message_count": stored.counts.total(),
    }


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False)
