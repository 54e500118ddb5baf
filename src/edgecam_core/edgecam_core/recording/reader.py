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

"""Opens recordings: MCAP files and folders, and rosbag2's SQLite bags through the package rosbags."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

import yaml

from edgecam_core.recording.bag import METADATA
from edgecam_core.recording.mcap_reader import McapRecording
from edgecam_core.recording.message import Message, RecordingError, Topic


class Recording(Protocol):
    """A recording that is open for reading. Not thread-safe.

    ``start_ns`` and ``end_ns`` are the times of its first and last message. ``damage`` describes the parts that cannot
    be read; it is empty for an intact recording.
    """

    topics: dict[str, Topic]
    start_ns: int
    end_ns: int

    @property
    def damage(self) -> str: ...

    def messages(self, topics: Collection[str] = (), since_ns: int = 0) -> Iterator[Message]:
        """The messages of these topics (empty: all) from this time on, in order of ``log_ns``."""

    def close(self) -> None: ...


def open_recording(path: Path) -> Recording:
    """Open an MCAP file, a rosbag2 folder, or a rosbag2 SQLite file.

    Raises:
        RecordingError: the path does not exist or is not a recording.
        MissingDependency: it is a SQLite bag, and the package rosbags is not installed.
    """
    path = path.expanduser()
    if not path.exists():
        raise RecordingError(f"{path} does not exist; give an .mcap file or the folder of a bag")
    files = _mcap_files(path) if path.is_dir() else [path] if path.suffix != ".db3" else []
    if not files:
        from edgecam_core.recording.foreign import ForeignRecording

        return ForeignRecording(path)
    return McapRecording(files[0]) if len(files) == 1 else _Joined([McapRecording(file) for file in files])


def _mcap_files(folder: Path) -> list[Path]:
    """The MCAP files of a bag, in order, including any that a killed recorder did not list in metadata.yaml."""
    named: list[str] = []
    if (folder / METADATA).is_file():
        try:
            facts = yaml.safe_load((folder / METADATA).read_text(encoding="utf-8"))
            named = [str(one) for one in facts["rosbag2_bagfile_information"]["relative_file_paths"]]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise RecordingError(f"{folder / METADATA} cannot be read: {type(error).__name__}") from error
    missing = [name for name in named if not (folder / name).is_file()]
    if missing:
        raise RecordingError(f"{folder / METADATA} lists {missing[0]}, which is missing")
    found = sorted(folder.glob("*.mcap"), key=lambda file: (len(file.name), file.name))
    if any(not name.endswith(".mcap") for name in named):
        return []
    if not found and not named and not list(folder.glob("*.db3")):
        raise RecordingError(f"{folder} holds no recording (.mcap or .db3)")
    return found


class _Joined:
    """The files of a split recording as one."""

    def __init__(self, parts: list[McapRecording]) -> None:
        self._parts = parts
        self.topics = {name: topic for part in parts for name, topic in part.topics.items()}
        filled = [part for part in parts if part.end_ns]
        self.start_ns = min((part.start_ns for part in filled), default=0)
        self.end_ns = max((part.end_ns for part in filled), default=0)

    @property
    def damage(self) -> str:
        return "; ".join(part.damage for part in self._parts if part.damage)

    def messages(self, topics: Collection[str] = (), since_ns: int = 0) -> Iterator[Message]:
        streams = [part.messages(topics, since_ns) for part in self._parts]
        return heapq.merge(*streams, key=lambda message: message.log_ns)

    def close(self) -> None:
        for part in self._parts:
            part.close()
