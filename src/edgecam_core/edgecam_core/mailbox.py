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

"""Holds the newest frame of each source for a slow consumer; sources are served in turn."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot per source; a new item replaces the one in the slot. Sources are served in turn.

    Thread-safe; only :meth:`take` blocks.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, T] = {}
        self._turns: list[str] = []  # all sources seen so far, least recently served first
        self._closed = False
        self._woken = False

    @property
    def closed(self) -> bool:
        return self._closed

    def wake(self) -> None:
        """Make the consumer's :meth:`take` return at once, possibly with an empty list."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def put(self, source: str, item: T) -> T | None:
        """Store the newest item of a source. Returns the replaced item, or ``item`` itself if closed."""
        with self._changed:
            if self._closed:
                return item
            replaced = self._waiting.get(source)
            self._waiting[source] = item
            if source not in self._turns:
                self._turns.insert(0, source)
            self._changed.notify()
        return replaced

    def waits(self, source: str) -> bool:
        """Whether an item of the source is waiting."""
        with self._changed:
            return source in self._waiting

    def take(self, limit: int = 1, linger: float = 0.0) -> list[tuple[str, T]]:
        """Take the items of up to ``limit`` sources, least recently served first.

        Blocks until there is an item, then up to ``linger`` seconds longer for others to fill the batch.
        Returns an empty list if the mailbox was woken or closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self._woken)
            self._woken = False
            if linger > 0 and self._waiting:
                self._changed.wait_for(lambda: self._full(limit) or self._closed, linger)
            turn = [source for source in self._turns if source in self._waiting][:limit]
            return [(source, self._serve(source)) for source in turn]

    def _full(self, limit: int) -> bool:
        return len(self._waiting) >= min(limit, len(self._turns))

    def _serve(self, source: str) -> T:
        self._turns.remove(source)
        self._turns.append(source)
        return self._waiting.pop(source)

    def close(self) -> None:
        """Wake the consumer for the last time and drop all items."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
