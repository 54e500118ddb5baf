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

"""The keeper: stores events, snapshots and clips in its own thread."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.events.clips import CodedFrame
from edgecam_core.events.event import BEGIN, END, Event
from edgecam_core.events.footage import Clip, Footage
from edgecam_core.events.index import StoreError
from edgecam_core.events.settings import EventsSettings
from edgecam_core.events.store import EventStore

_TICK = 0.5  # seconds between two checks of pending work
_RETENTION_PERIOD = 60.0  # seconds between two checks of retention
_IMAGE_WAIT = 3.0  # seconds for which a snapshot waits for the frame of its event
_BACKLOG = 1000  # changes of the index that wait while the disk is full
_QUEUE = 64_000_000  # bytes of coded frames that wait for the thread
_Item = Event | tuple[str, CodedFrame]


class Keeper:
    """Takes events and coded frames without blocking, and stores what the settings require.

    :meth:`event` and :meth:`frame` may be called from any thread; the frames of a camera must be in order. While the
    disk is full, changes of the index wait; changes dropped above a limit are counted, like snapshots and clips that
    cannot be written. ``events`` and ``bytes`` are number and size of the stored events.

    Args:
        on_problem: called in the keeper's thread with each new reason why something cannot be stored.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(self, settings: EventsSettings, on_problem: Callable[[EdgecamError], object] = lambda _: None) -> None:
        self.settings = settings
        self.counters = Counters()
        self._problems: dict[str, EdgecamError] = {}  # by "index" and "file"
        self.store = EventStore(settings.events_directory)
        self.events, self.bytes = self.store.totals
        self.footage = Footage(settings)
        self._on_problem = on_problem
        self._backlog: deque[Callable[[], object]] = deque()
        self._pending: dict[str, tuple[Event, float]] = {}  # snapshots that wait for their frame, and the deadline
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._queued = 0
        self._lock = threading.Lock()
        self._due = 0.0
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> EdgecamError | None:
        """Why something cannot be stored at present; None if everything can."""
        return next(iter(dict(self._problems).values()), None)

    def update(self, settings: EventsSettings) -> None:
        """Use other settings; only those that may change at run time take effect."""
        self.settings = self.footage.settings = settings

    def event(self, event: Event) -> None:
        """Queue an event."""
        self._queue.put(event)

    def frame(self, camera: str, frame: CodedFrame) -> None:
        """Queue a coded frame of a camera: JPEG for snapshots and clips, H.264 or H.265 for clips."""
        with self._lock:
            if self._queued > _QUEUE:
                self.counters.add("coded frame dropped: the disk is too slow")
                return
            self._queued += len(frame.data)
        self._queue.put((camera, frame))

    def close(self) -> None:
        """Store everything that is queued, end all clips, and end the thread. Blocks for the disk."""
        self._queue.put(None)
        self._thread.join()

    # In the keeper's own thread.

    def _run(self) -> None:
        ticked = 0.0
        while True:
            try:
                item = self._queue.get(timeout=_TICK)
                if item is None:
                    break
                self._attempt("file", self._take, item)
            except queue.Empty:
                pass
            if (now := time.monotonic()) - ticked >= _TICK:
                ticked = now
                self._tick(now)
        for event, _ in list(self._pending.values()):
            self._attempt("file", self._snapshot, event, True)
        for clip in list(self.footage.clips):
            self._attempt("file", self._finish, clip)
        self._attempt("index", self._write_backlog)
        self.store.close()

    def _attempt(self, target: str, work: Callable[..., object], *arguments: object) -> None:
        """Call a function; an error becomes the problem of the target, "index" or "file", and never ends the thread."""
        try:
            work(*arguments)
        except Exception as error:
            problem = EdgecamError.of(error)
            known, self._problems[target] = self._problems.get(target), problem
            if str(problem) != str(known):
                self._on_problem(problem)

    def _take(self, item: _Item) -> None:
        if isinstance(item, Event):
            self._take_event(item)
            return
        camera, frame = item
        with self._lock:
            self._queued -= len(frame.data)
        for clip in self.footage.frame(camera, frame):
            self._attempt("file", self._finish, clip)
        self._report_failed()

    def _take_event(self, event: Event) -> None:
        if event.state == END:
            self.footage.end(event)
            self._index(partial(self.store.end, event))
            return
        if event.state == BEGIN:
            self._index(partial(self.store.begin, event))
            self._attempt("file", self._begin_clip, event)
        if self.settings.snapshots:
            self._pending[event.id] = event, time.monotonic() + _IMAGE_WAIT
            self._attempt("file", self._snapshot, event, False)

    def _tick(self, now: float) -> None:
        self._attempt("index", self._write_backlog)
        for event, deadline in list(self._pending.values()):
            self._attempt("file", self._snapshot, event, now >= deadline)
        for clip in self.footage.overdue():
            self._attempt("file", self._finish, clip)
        if now >= self._due:
            self._due = now + _RETENTION_PERIOD
            self._attempt("index", self._retain)
        self._attempt("index", self._count)

    def _retain(self) -> None:
        if count := self.store.retain(self.settings.retention_days, self.settings.max_megabytes):
            self.counters.add("event deleted: retention", count)

    def _count(self) -> None:
        self.events, self.bytes = self.store.totals

    def _index(self, change: Callable[[], object]) -> None:
        """Change the index. Changes keep their order; one that fails is retried later."""
        if len(self._backlog) >= _BACKLOG:
            self._backlog.popleft()
            self.counters.add("not in the index: the disk is full")
        self._backlog.append(change)
        self._attempt("index", self._write_backlog)

    def _write_backlog(self) -> None:
        while self._backlog:
            try:
                self._backlog[0]()
            except StoreError:
                raise
            except Exception:  # a defect: it would fail again
                self._backlog.popleft()
                raise
            self._backlog.popleft()
        self._problems.pop("index", None)

    def _begin_clip(self, event: Event) -> None:
        try:
            self.store.make_room(self.settings.min_free_megabytes)
            reason = self.footage.begin(event, self.store.root / "clips")
        except EdgecamError:
            self.counters.add("event without clip: it cannot be written")
            raise
        if reason:
            self.counters.add(reason)
        self._report_failed()

    def _report_failed(self) -> None:
        failed, self.footage.failed = self.footage.failed, []
        for error in failed:
            self.counters.add("event without clip: it cannot be written")
            raise error

    def _finish(self, clip: Clip) -> None:
        try:
            path = self.footage.finish(clip)
        except EdgecamError:
            self.counters.add("event without clip: it cannot be written")
            raise
        self._problems.pop("file", None)
        self._index(partial(self.store.add_clip, clip.event.id, path))

    def _snapshot(self, event: Event, last: bool) -> None:
        """Store an event's snapshot if its frame has arrived; with ``last``, a neighbouring frame may replace it."""
        try:
            jpeg = self.footage.snapshot(event, near=last)
            if jpeg is None and not last:
                return
            self._pending.pop(event.id, None)
            if jpeg is None:
                self.counters.add("event without snapshot: no image of its frame")
            elif self._backlog:
                self.counters.add("event without snapshot: it cannot be written")
            else:
                self.store.make_room(self.settings.min_free_megabytes)
                self.store.add_snapshot(event.id, jpeg)
                self._problems.pop("file", None)
        except EdgecamError:
            self._pending.pop(event.id, None)
            self.counters.add("event without snapshot: it cannot be written")
            raise
