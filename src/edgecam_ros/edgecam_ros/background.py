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

"""Runs slow work of service callbacks in the background while the executor serves other callbacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from rclpy.node import Node

T = TypeVar("T")
_POLL = 0.005


class Background(Generic[T]):
    """Runs ``work`` in a separate thread; awaiting it in a coroutine callback returns the result or raises the error.

    rclpy's events executor (seen with 9.1.2) polls a waiting coroutine in a loop; each poll blocks the executor for at
    most 5 ms, so that waiting does not keep a core busy. The single-threaded executor (seen with 7.1.5, 9.1.2) resumes
    the coroutine only when woken, so the thread wakes the executor of ``node`` when done. The process does not end
    before the work is done.
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
