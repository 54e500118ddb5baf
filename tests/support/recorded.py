"""Messages of two topics, and reading them back."""

from __future__ import annotations

from pathlib import Path

import recordings as made
from edgecam_core.recording import qos
from edgecam_core.recording.message import Message
from edgecam_core.recording.reader import open_recording

LATCHED = qos.Qos(depth=1, durability="transient_local")


def texts(count: int, name: str = "/words", every_ns: int = made.SECOND // 10) -> list[Message]:
    kind = made.topic(name, "std_msgs/msg/String", LATCHED)
    times = [made.START_NS + number * every_ns for number in range(count)]
    return [Message(kind, at, at - 7, made.text(f"word {number}")) for number, at in enumerate(times)]


def content(messages: list[Message]) -> list[tuple[str, int, bytes]]:
    return [(one.topic.name, one.log_ns, one.data) for one in messages]


def read(path: Path) -> list[Message]:
    return list(open_recording(path).messages())
