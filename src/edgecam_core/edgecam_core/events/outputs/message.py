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

"""The interface of an output, the message it sends, and its errors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.events.event import Event
from edgecam_core.events.settings import EventsSettings


class OutputError(EdgecamError):
    """The receiver cannot be reached; the event is sent again later."""


class OutputRefused(EdgecamError):
    """The receiver refuses this event permanently."""


@dataclass(frozen=True)
class Outgoing:
    """The begin or end of an event, with the paths of its files relative to the events' folder."""

    event: Event
    snapshot: str = ""
    clip: str = ""

    def json(self) -> bytes:
        """The event as a JSON object; times in nanoseconds and as ISO 8601 in UTC."""
        fields = asdict(self.event)
        times = {"start": _iso(self.event.start_ns), "time": _iso(self.event.stamp_ns)}
        return json.dumps({**fields, **times, "snapshot": self.snapshot, "clip": self.clip}).encode()


class EventOutput(Protocol):
    """Sends events somewhere. The methods are called from one thread."""

    name: str

    def send(self, outgoing: Outgoing) -> None:
        """Deliver one event. Blocks up to half a minute; raises OutputError or OutputRefused."""

    def update(self, settings: EventsSettings) -> None:
        """Use changed rules. Raises OutputError if the receiver cannot be reached."""

    def close(self) -> None:
        """Disconnect; blocks for a few seconds at most."""


def read_secret(setting: str, path: str) -> bytes:
    """The secret in a file, without surrounding white space.

    Raises:
        SettingError: the file cannot be read or is empty.
    """
    try:
        secret = Path(path).expanduser().read_bytes().strip()
    except OSError as error:
        raise SettingError(setting, path, f"cannot be read ({error.strerror}); name a file with the secret") from error
    if not secret:
        raise SettingError(setting, path, "is empty; write the secret into it")
    return secret


def _iso(stamp_ns: int) -> str:
    return datetime.fromtimestamp(stamp_ns / 1e9, timezone.utc).isoformat(timespec="milliseconds")
