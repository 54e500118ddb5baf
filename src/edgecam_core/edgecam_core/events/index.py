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

"""Reads the index of events. Any number of processes may read while one writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam_core.errors import EdgecamError
from edgecam_core.files import refuse_links

NAME, VERSION = "events.sqlite", 1
FOLDERS = {"snapshot": "snapshots", "clip": "clips"}
COLUMNS = (
    "number", "id", "camera", "rule", "kind", "zone", "label", "track_id", "detail", "score", "x1", "y1", "x2", "y2",
    "frame_id", "start_ns", "end_ns", "stored_ns", "snapshot", "clip", "bytes",
)  # fmt: skip
_FILTERS = ("camera", "rule", "label", "zone", "kind")
_BOUNDS = {"since": "coalesce(end_ns, start_ns) >=", "until": "start_ns <=", "before": "number <"}
_WAIT = 5.0  # seconds for a lock


class StoreError(EdgecamError):
    """The index, a snapshot or a clip cannot be read or written."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the index. ``number`` increases with every stored event.

    ``box`` is (x1, y1, x2, y2) in pixels, None if the event is not about one object. ``start_ns`` and ``end_ns`` are
    capture times; ``end_ns`` is None while the event lasts. ``stored_ns`` is wall-clock time. ``snapshot`` and ``clip``
    are paths relative to the folder, empty if the file does not exist (yet). ``bytes`` is the size of both.
    """

    number: int
    id: str
    camera: str
    rule: str
    kind: str
    zone: str
    label: str
    track_id: str
    detail: str
    score: float
    box: tuple[float, float, float, float] | None
    frame_id: str
    start_ns: int
    end_ns: int | None
    stored_ns: int
    snapshot: str
    clip: str
    bytes: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> StoredEvent:
        """The event from the values of COLUMNS."""
        box = None if row[10] is None else (row[10], row[11], row[12], row[13])
        return cls(*(*row[:10], box, *row[14:]))


class EventIndex:
    """Reads the events in a folder. Thread-safe. Each call opens the index and blocks on disk access.

    A folder without an index has no events.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser()

    def find(
        self,
        *,
        camera: str = "",
        rule: str = "",
        label: str = "",
        zone: str = "",
        kind: str = "",
        since_ns: int | None = None,
        until_ns: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[StoredEvent]:
        """Events that match all given filters, newest first.

        Args:
            since_ns, until_ns: capture times; events that overlap this period.
            before: only events with a smaller ``number``; for the next page, that of the last event.
            limit: maximum number of events, up to 1000.

        Raises:
            StoreError: the index cannot be read.
        """
        values = {"camera": camera, "rule": rule, "label": label, "zone": zone, "kind": kind}
        tests = [f"{name} = :{name}" for name in _FILTERS if values[name]]
        bounds = {"since": _fits(since_ns), "until": _fits(until_ns), "before": _fits(before)}
        tests += [f"{_BOUNDS[name]} :{name}" for name, value in bounds.items() if value is not None]
        where = f"WHERE {' AND '.join(tests)}" if tests else ""
        query = f"SELECT {', '.join(COLUMNS)} FROM events {where} ORDER BY number DESC LIMIT :limit"
        rows = self._rows(query, {**values, **bounds, "limit": min(max(limit, 0), 1000)})
        return [StoredEvent.of(row) for row in rows]

    def event(self, name: str) -> StoredEvent | None:
        """The event with this id; None if there is none. Raises StoreError."""
        rows = self._rows(f"SELECT {', '.join(COLUMNS)} FROM events WHERE id = :id", {"id": name})
        return StoredEvent.of(rows[0]) if rows else None

    def choices(self) -> dict[str, list[str]]:
        """The values in the index for each of the filters ``camera``, ``rule``, ``label``, ``zone`` and ``kind``.

        Raises:
            StoreError: the index cannot be read.
        """
        return {
            name: [
                row[0] for row in self._rows(f"SELECT DISTINCT {name} FROM events WHERE {name} != '' ORDER BY 1", {})
            ]
            for name in _FILTERS
        }

    def path(self, name: str, what: str) -> Path | None:
        """The file of an event's ``snapshot`` or ``clip``; None if there is none.

        Raises:
            StoreError: the index cannot be read.
        """
        event = self.event(name)
        if event is None or what not in FOLDERS:
            return None
        return self.file(event.snapshot if what == "snapshot" else event.clip)

    def file(self, reference: str) -> Path | None:
        """The file of a ``snapshot`` or ``clip`` in a message or row; None if it is missing or outside the folder."""
        if not reference or "\0" in reference:
            return None
        path = (self.root / reference).resolve()
        folders = [(self.root / folder).resolve() for folder in FOLDERS.values()]
        return path if path.parent in folders and path.is_file() else None

    def _rows(self, query: str, values: dict[str, Any]) -> Sequence[Any]:
        path = self.root / NAME
        if not path.is_file():
            return []
        with explained(path), closing(connect(path, writes=False)) as connection:
            empty = _version(connection) == 0  # the node is about to create the tables
            return [] if empty else connection.execute(query, values).fetchall()


def connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    """Open the index, which may be empty.

    Raises:
        StoreError: it has another version, or is another database.
        OSError: one of its files is a link.
        sqlite3.Error: it cannot be opened.
    """
    refuse_links(path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")))
    mode = "rwc" if writes else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_WAIT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        version = _version(connection)
        foreign = version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        # The node may have created the tables between the two queries.
        wrong = version not in (0, VERSION) or (foreign and _version(connection) == 0)
    except sqlite3.Error:
        connection.close()
        raise
    if wrong:
        connection.close()
        raise StoreError(f"{path} has version {version}, not {VERSION}; move it away or use another folder")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert an error of SQLite or the disk to a StoreError that names the file and the remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "not a database" in text or "malformed" in text:
            raise StoreError(f"{path} is damaged ({text}); move it away, and a new index will be created") from error
        raise StoreError(f"{path}: {text}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def _fits(value: int | None) -> int | None:
    """Clamp to SQLite's integers."""
    return None if value is None else min(max(value, -(2**63)), 2**63 - 1)
