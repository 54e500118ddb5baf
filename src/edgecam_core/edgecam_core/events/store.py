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

"""Writes the store of events in a folder. It is valid after a crash at any moment.

    events.sqlite        the index (SQLite, write-ahead log)
    snapshots/<id>.jpg   the best-scoring frame with the box of the object
    clips/<id>.mp4, .mkv the coded frames from pre_roll before to post_roll after the event

A row refers to a file only when the file is complete. If the node is killed while writing a clip, the clip is playable
up to that point.
"""

from __future__ import annotations

import time
from pathlib import Path

from edgecam_core.events.event import Event
from edgecam_core.events.index import (
    COLUMNS,
    FOLDERS,
    NAME,
    VERSION,
    EventIndex,
    StoredEvent,
    StoreError,
    connect,
    explained,
)
from edgecam_core.files import free_bytes, write_atomically

MEGABYTE = 1e6
_DAY_NS = 86_400 * 10**9
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, camera TEXT NOT NULL, rule TEXT NOT NULL,
    kind TEXT NOT NULL, zone TEXT NOT NULL, label TEXT NOT NULL, track_id TEXT NOT NULL, detail TEXT NOT NULL,
    score REAL NOT NULL, x1 REAL, y1 REAL, x2 REAL, y2 REAL, frame_id TEXT NOT NULL, start_ns INTEGER NOT NULL,
    end_ns INTEGER, stored_ns INTEGER NOT NULL, snapshot TEXT NOT NULL DEFAULT '', clip TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_rule ON events (rule, number);
CREATE INDEX IF NOT EXISTS by_start ON events (start_ns);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_TOTALS = "SELECT count(*), coalesce(sum(bytes), 0) FROM events"


class EventStore(EventIndex):
    """Writes the events of one node. Blocks on disk access. Only the methods of :class:`EventIndex` are thread-safe.

    Events that were ongoing when the node was killed get their begin as their end.

    Raises:
        StoreError: the folder cannot be used, or the index is damaged.
    """

    def __init__(self, root: Path | str) -> None:
        super().__init__(root)
        with explained(self.root / NAME):
            for folder in FOLDERS.values():
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            self._connection = connect(self.root / NAME, writes=True)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("UPDATE events SET end_ns = start_ns WHERE end_ns IS NULL")
            self._adopt()
            self._sweep()

    def _adopt(self) -> None:
        """Add the clips that were being written when the node was killed to their events."""
        for path in (self.root / "clips").iterdir():
            row = self._connection.execute("SELECT id FROM events WHERE id = ? AND clip = ''", (path.stem,)).fetchone()
            if row is not None and path.stat().st_size:
                self.add_clip(path.stem, path)

    def _sweep(self) -> None:
        """Remove files without a row, left by a crash."""
        known = {name for row in self._connection.execute("SELECT snapshot, clip FROM events") for name in row if name}
        for folder in FOLDERS.values():
            for path in (self.root / folder).iterdir():
                if path.is_file() and f"{folder}/{path.name}" not in known:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        self._connection.close()

    @property
    def totals(self) -> tuple[int, int]:
        """Number of events, and size of their files in bytes. Raises StoreError."""
        with explained(self.root / NAME):
            count, size = self._connection.execute(_TOTALS).fetchone()
        return int(count), int(size)

    def begin(self, event: Event) -> None:
        """Store the start of an event; storing it again changes nothing. Raises StoreError."""
        box = event.box or (None,) * 4
        values = (
            event.id, event.camera, event.rule, event.kind, event.zone, event.label, event.track_id, event.detail,
            event.score, *box, event.frame_id, event.start_ns, None, time.time_ns(), "", "", 0,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT OR IGNORE INTO events ({', '.join(COLUMNS[1:])}) VALUES ({marks})", values)

    def end(self, event: Event) -> None:
        """Store the end of an event. Raises StoreError."""
        values = (event.stamp_ns, event.score, event.detail, event.id)
        self._execute("UPDATE events SET end_ns = ?, score = max(score, ?), detail = ? WHERE id = ?", values)

    def add_snapshot(self, name: str, jpeg: bytes) -> None:
        """Store or replace the snapshot of an event. Raises StoreError; then no new file remains."""
        path = self.root / "snapshots" / f"{name}.jpg"
        with explained(path):
            write_atomically(path, jpeg)
        self._named(name, "snapshot", path)

    def add_clip(self, name: str, path: Path) -> None:
        """Add a finished file in ``clips/`` as the clip of an event. Raises StoreError."""
        self._named(name, "clip", path)

    def _named(self, name: str, column: str, path: Path) -> None:
        reference = f"{FOLDERS[column]}/{path.name}"
        self._execute(f"UPDATE events SET {column} = ? WHERE id = ?", (reference, name))
        event = self.event(name)
        if event is None:  # deleted meanwhile
            path.unlink(missing_ok=True)
            return
        files = [self.file(one) for one in (event.snapshot, event.clip)]
        self._execute(
            "UPDATE events SET bytes = ? WHERE id = ?", (sum(one.stat().st_size for one in files if one), name)
        )

    def retain(self, days: float, megabytes: float) -> int:
        """Delete events older than ``days``, and the oldest ones above ``megabytes``; returns their number.

        Ongoing events are kept. Raises StoreError.
        """
        deleted = 0
        if days > 0:
            old = "SELECT {} FROM events WHERE end_ns IS NOT NULL AND stored_ns < ?".format(", ".join(COLUMNS))
            deleted += self._delete(self._all(old, (time.time_ns() - round(days * _DAY_NS),)))
        excess = self.totals[1] - megabytes * MEGABYTE
        return deleted + (self._free(excess) if excess > 0 else 0)

    def make_room(self, megabytes: float) -> None:
        """Make sure that the disk has this much free space; delete the oldest events if that helps.

        Raises:
            StoreError: deleting all events would not free enough space.
        """
        free = free_bytes(self.root)
        missing = megabytes * MEGABYTE - free
        if missing <= 0:
            return
        if self.totals[1] < missing:
            raise StoreError(
                f"parameter 'min_free_megabytes' is {megabytes:g}: the disk of {self.root} has {free / MEGABYTE:.0f} "
                "MB free; free some space or lower it"
            )
        self._free(missing)

    def _free(self, size: float) -> int:
        """Delete the oldest events with files until at least ``size`` bytes are freed; returns their number."""
        chosen = []
        query = f"SELECT {', '.join(COLUMNS)} FROM events WHERE end_ns IS NOT NULL AND bytes > 0 ORDER BY number"
        for event in self._all(query, ()):
            if size <= 0:
                break
            chosen.append(event)
            size -= event.bytes
        return self._delete(chosen)

    def _delete(self, events: list[StoredEvent]) -> int:
        """Delete files and rows. Files first: on a full disk the index cannot be written before."""
        for event in events:
            for reference in (event.snapshot, event.clip):
                if path := self.file(reference):
                    with explained(path):
                        path.unlink(missing_ok=True)
        for event in events:
            self._execute("DELETE FROM events WHERE number = ?", (event.number,))
        return len(events)

    def _all(self, query: str, values: tuple[object, ...]) -> list[StoredEvent]:
        with explained(self.root / NAME):
            return [StoredEvent.of(row) for row in self._connection.execute(query, values).fetchall()]

    def _execute(self, query: str, values: tuple[object, ...]) -> None:
        with explained(self.root / NAME):
            self._connection.execute(query, values)
