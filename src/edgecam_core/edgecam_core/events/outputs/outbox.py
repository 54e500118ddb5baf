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

"""The queue of one output: events wait in order while the receiver cannot be reached."""

from __future__ import annotations

import threading
import time
from collections import deque

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.events.outputs.message import EventOutput, Outgoing, OutputError
from edgecam_core.events.settings import EventsSettings

_FIRST, _LONGEST = 1.0, 30.0  # seconds between two attempts
_FLUSH = 2.0  # seconds for delivering the queue when the node ends


class Outbox:
    """Delivers events in order, in its own thread; retries with increasing pauses.

    If more than ``limit`` events wait, the oldest is dropped. ``counters`` counts dropped and refused events, ``sent``
    the delivered ones. ``problem`` is why nothing can be delivered at present. Only :meth:`close` blocks.

    Args:
        first: seconds before the first retry.
    """

    def __init__(self, output: EventOutput, limit: int, first: float = _FIRST) -> None:
        self.name = output.name
        self.counters = Counters()
        self.problem: EdgecamError | None = None
        self.sent = 0
        self._output, self._limit, self._first = output, limit, first
        self._settings: EventsSettings | None = None
        self._changed = threading.Condition()
        self._waiting: deque[Outgoing] = deque()
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=output.name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of queued events."""
        return len(self._waiting)

    def put(self, outgoing: Outgoing) -> None:
        """Queue an event."""
        with self._changed:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.counters.add(f"{self.name}: dropped, output_queue is full")
            self._waiting.append(outgoing)
            self._changed.notify()

    def update(self, settings: EventsSettings) -> None:
        """Pass changed settings to the output as soon as it can be reached."""
        with self._changed:
            self._settings = settings
            self._changed.notify()

    def close(self) -> None:
        """Deliver the queue for up to two seconds and end the thread; events that are left are counted."""
        with self._changed:
            self._closing_at = time.monotonic() + _FLUSH
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        pause = self._first
        while self._next():
            try:
                self._deliver()
            except OutputError as error:
                self.problem = error
            except Exception as error:  # refused, or a defect: it would fail again
                self.problem = EdgecamError.of(error)
                self.counters.add(f"{self.name}: refused")
                self._remove()
            else:
                self.problem, pause = None, self._first
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._closing_at is not None, pause)
            pause = min(2 * pause, _LONGEST)
            if self._closing_at is not None and time.monotonic() > self._closing_at - _FLUSH / 2:
                break
        if self._waiting:
            self.counters.add(f"{self.name}: dropped, the node ended", len(self._waiting))
        self._output.close()

    def _next(self) -> bool:
        """Wait for work; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._settings or self._closing_at is not None)
            return self._closing_at is None or (bool(self._waiting) and time.monotonic() < self._closing_at)

    def _deliver(self) -> None:
        if (settings := self._settings) is not None:
            self._output.update(settings)
            self._settings = None
        if self._waiting:
            first = self._waiting[0]
            self._output.send(first)
            self.sent += 1
            self._remove(first)

    def _remove(self, delivered: Outgoing | None = None) -> None:
        with self._changed:
            if self._waiting and delivered in (None, self._waiting[0]):  # else put() dropped it meanwhile
                self._waiting.popleft()
