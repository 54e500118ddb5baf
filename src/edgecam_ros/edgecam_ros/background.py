"""Work that takes its time, for service callbacks: the executor goes on with other requests meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from rclpy.node import Node

T = TypeVar("T")
_POLL = 0.005


class Background(Generic[T]):
    """Begins ``work`` in a thread of its own; awaited in a coroutine callback it gives the result or the exception.

    rclpy of Kilted resumes a waiting coroutine again and again: each time this blocks the executor for 5 ms at most, so
    that waiting does not keep a core busy. That of Humble and Jazzy resumes it only when something else happens, so the
    end of the work wakes the executor of ``node``. The process does not end before the work has.
    """

    def __init__(self, node: Node, work: Callable[[], T]) -> None:
        self._node = node
        self._work = work
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name="background").start()

    def __await__(self) -> Generator[None, None, T]:
        while not self._done.wait(_POLL):
            yield
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()
            if (executor := self._node.executor) is not None:
                executor.wake()
