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

"""Reads MCAP files of any writer, complete or truncated (https://mcap.dev/spec).

The file is indexed by its record headers. A file without a summary (its writer was killed) is therefore read like any
other, and a damaged chunk does not affect the others.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.stream_reader import breakup_chunk

from edgecam_core.recording import qos
from edgecam_core.recording.message import Message, RecordingError, Topic

_MAGIC = b"\x89MCAP0\r\n"
_HEADER = struct.Struct("<BQ")  # opcode and length of a record
_TIMES = struct.Struct("<QQQ")  # of a chunk: first and last log time, uncompressed size
_MESSAGE = struct.Struct("<HIQQ")
_MAX_CHUNK = 4 * 2**30
"""Bytes; a chunk that claims to be larger is damaged."""
_DAMAGE = (
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    struct.error,
    zstandard.ZstdError,
    RuntimeError,
    OSError,
    McapError,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One chunk, or one message outside of chunks."""

    start_ns: int
    end_ns: int
    offset: int
    length: int
    opcode: int


class McapRecording:
    """One MCAP file. Reads lazily; not thread-safe.

    Raises:
        RecordingError: the file cannot be read, is not MCAP, or holds no ROS 2 messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, Topic] = {}
        self._truncated = ""
        self._summary_channels = -1  # number of channels stated by the summary
        self._damaged: set[int] = set()
        self._schemas: dict[int, records.Schema] = {}
        self._channels: dict[int, Topic | None] = {}
        self._pieces: list[_Piece] = []
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self._index()
            if len(self._channels) != self._summary_channels:  # no complete summary: read the channels in the chunks
                for piece in self._pieces:
                    self._records(piece)
        except BaseException:
            self._file.close()
            raise
        self.topics = {topic.name: topic for topic in self._channels.values() if topic}
        if self._channels and not self.topics:
            self._file.close()
            raise RecordingError(f"{path} holds no ROS 2 messages (CDR)")
        self.start_ns = min((one.start_ns for one in self._pieces), default=0)
        self.end_ns = max((one.end_ns for one in self._pieces), default=0)

    @property
    def damage(self) -> str:
        damaged = f"{len(self._damaged)} of {len(self._pieces)} chunks are damaged" if self._damaged else ""
        text = " and ".join(one for one in (self._truncated, damaged) if one)
        return f"{self.path.name}: {text}" if text else ""

    def close(self) -> None:
        self._file.close()

    def messages(self, topics: Collection[str] = (), since_ns: int = 0) -> Iterator[Message]:
        """See :class:`~edgecam_core.recording.reader.Recording`. Messages with equal times are in file order."""
        waiting: list[tuple[int, int, int, Message]] = []
        for piece in sorted(self._pieces, key=lambda one: (one.start_ns, one.offset)):
            if piece.end_ns < since_ns:
                continue
            while waiting and waiting[0][0] < piece.start_ns:
                yield heapq.heappop(waiting)[3]
            for number, message in enumerate(self._messages(piece)):
                if message.log_ns >= since_ns and (not topics or message.topic.name in topics):
                    heapq.heappush(waiting, (message.log_ns, piece.offset, number, message))
        while waiting:
            yield heapq.heappop(waiting)[3]

    def _index(self) -> None:
        """Find every chunk by the record headers; the summary, if there is one, lists the channels."""
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise RecordingError(f"{self.path} is not an MCAP file")
        size = self.path.stat().st_size
        at = len(_MAGIC)
        while True:
            self._file.seek(at)
            header = self._file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                break
            opcode, length = _HEADER.unpack(header)
            body = at + _HEADER.size
            if opcode == 0 or body + length > size:
                break
            try:
                self._index_record(opcode, body, length)
            except _DAMAGE:
                self._damaged.add(at)
            if opcode == Opcode.FOOTER:
                return
            at = body + length
        self._summary_channels = -1
        self._truncated = f"its end is missing (truncated after {at} bytes)"

    def _index_record(self, opcode: int, offset: int, length: int) -> None:
        if opcode == Opcode.CHUNK:
            start, end, _ = _TIMES.unpack(self._file.read(_TIMES.size))
            self._pieces.append(_Piece(start, end, offset, length, opcode))
        elif opcode == Opcode.MESSAGE:
            _, _, log_ns, _ = _MESSAGE.unpack(self._file.read(_MESSAGE.size))
            self._pieces.append(_Piece(log_ns, log_ns, offset, length, opcode))
        elif opcode == Opcode.STATISTICS:
            statistics = records.Statistics.read(ReadDataStream(BytesIO(self._file.read(length))))
            self._summary_channels = statistics.channel_count
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            stream = ReadDataStream(BytesIO(self._file.read(length)))
            self._add_definition(
                records.Schema.read(stream) if opcode == Opcode.SCHEMA else records.Channel.read(stream)
            )

    def _add_definition(self, record: records.McapRecord) -> None:
        if isinstance(record, records.Schema):
            self._schemas[record.id] = record
        elif isinstance(record, records.Channel) and record.id not in self._channels:
            self._channels[record.id] = _topic(record, self._schemas.get(record.schema_id))

    def _messages(self, piece: _Piece) -> list[Message]:
        found = []
        for record in self._records(piece):
            topic = self._channels.get(record.channel_id)
            if topic:
                found.append(Message(topic, record.log_time, record.publish_time, record.data))
        return found

    def _records(self, piece: _Piece) -> list[records.Message]:
        """The messages of a piece; empty if it is damaged."""
        self._file.seek(piece.offset)
        try:
            data = self._file.read(piece.length)
            stream = ReadDataStream(BytesIO(data))
            if piece.opcode == Opcode.MESSAGE:
                return [records.Message.read(stream, piece.length)]
            chunk = records.Chunk.read(stream)
            if chunk.uncompressed_size > _MAX_CHUNK:
                raise ValueError(f"a chunk of {chunk.uncompressed_size} bytes")
            inside = breakup_chunk(chunk, validate_crc=True)
        except _DAMAGE:
            self._damaged.add(piece.offset)
            return []
        for record in inside:
            self._add_definition(record)
        return [record for record in inside if isinstance(record, records.Message)]


def _topic(channel: records.Channel, schema: records.Schema | None) -> Topic | None:
    """The topic of a channel; None if its messages are not ROS 2 messages."""
    if channel.message_encoding != "cdr" or schema is None:
        return None
    offered = channel.metadata.get("offered_qos_profiles", "")
    definition = schema.data.decode(errors="replace") if schema.encoding == "ros2msg" else ""
    type_hash = channel.metadata.get("topic_type_hash", "")
    return Topic(channel.topic, schema.name, offered, type_hash, definition, qos.is_latched(offered))
