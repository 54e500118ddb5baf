"""Where frames wait for a slow consumer: the newest of each source, the sources in turn."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot per source; a new item replaces the one still waiting. Sources are served in turn.

    Every method may be called from any thread; only :meth:`take` blocks.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, T] = {}
        self._turns: list[str] = []  # all sources ever seen, the one served longest ago first
        self._closed = False
        self._woken = False

    @property
    def closed(self) -> bool:
        return self._closed

    def wake(self) -> None:
        """Let the consumer's :meth:`take` come back at once, if need be with nothing."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def put(self, source: str, item: T) -> T | None:
        """Leave the newest item of a source; gives back the one that nobody will see for it."""
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
        """Whether an item of the source waits to be taken."""
        with self._changed:
            return source in self._waiting

    def take(self, most: int = 1, linger: float = 0.0) -> list[tuple[str, T]]:
        """The items of up to ``most`` sources, those first that were served longest ago.

        Blocks until there is one; then up to ``linger`` seconds more for others to fill the batch.
        An empty list means that the mailbox was woken or is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self._woken)
            self._woken = False
            if linger > 0 and self._waiting:
                self._changed.wait_for(lambda: self._full(most) or self._closed, linger)
            turn = [source for source in self._turns if source in self._waiting][:most]
            return [(source, self._serve(source)) for source in turn]

    def _full(self, most: int) -> bool:
        return len(self._waiting) >= min(most, len(self._turns))

    def _serve(self, source: str) -> T:
        self._turns.remove(source)
        self._turns.append(source)
        return self._waiting.pop(source)

    def close(self) -> None:
        """Wake the consumer for the last time; what waits is dropped."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
