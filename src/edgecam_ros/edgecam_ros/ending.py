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

"""Ends a process in which a call of DDS does not return.

When nodes end at the same time, Fast DDS (up to 3.2 at least, issue 6502) can deadlock: its receiving thread removes a
writer with the discovery's mutex locked and waits for the event thread, which waits for that mutex. Every later call
that creates or removes an entity waits for ever, and rclpy makes these calls with Python's lock held, so that neither a
thread nor a signal handler of Python could end the process. For a node that goes on running, see
:mod:`edgecam_ros.deadlock`.
"""

from __future__ import annotations

import ctypes
import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

LIMIT = 40.0
"""Seconds for one call. They take milliseconds, on a machine that is not busy."""
_CLOCK_MONOTONIC = 1
_SIGEV_THREAD = 2
_STDERR = 2
_exit_code = 1
_bounded = ContextVar("_bounded", default=False)
_ENTITIES = ("publisher", "subscription", "service", "client")
_CALLS = ("__init__", "destroy_node", *(f"{verb}_{what}" for verb in ("create", "destroy") for what in _ENTITIES))
T = TypeVar("T", bound=type)


class _Event(ctypes.Structure):
    """``struct sigevent`` of Linux, 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p), ("rest", ctypes.c_byte * 40),
    )  # fmt: skip


def end_with(exit_code: int) -> None:
    """From now on, a bounded call that does not return ends the process with this exit code; 1 before."""
    global _exit_code
    _exit_code = exit_code


@contextmanager
def bounded() -> Iterator[None]:
    """End the process if the block takes longer than ``LIMIT``, after the stacks of its threads are on stderr.

    Also a decorator, as ``bounded()``. A thread of the C library does it, without Python. The outermost block counts.
    """
    if _bounded.get():
        yield
        return
    libc = ctypes.CDLL(None)
    event = _Event(value=_exit_code, notify=_SIGEV_THREAD, function=ctypes.cast(libc._exit, ctypes.c_void_p))
    timer = ctypes.c_void_p()
    whole, part = divmod(LIMIT + 1.0, 1.0)
    times = (ctypes.c_long * 4)(0, 0, int(whole), int(part * 1e9))  # struct itimerspec: no interval
    faulthandler.dump_traceback_later(LIMIT, file=_STDERR)
    running = libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) == 0
    if running:
        libc.timer_settime(timer, 0, times, None)
    token = _bounded.set(True)
    try:
        yield
    finally:
        _bounded.reset(token)
        faulthandler.cancel_dump_traceback_later()
        if running:
            libc.timer_delete(timer)


def bound_calls(node_type: T) -> T:
    """A decorator of a node's class: bound the calls that create or remove the node or one of its entities."""
    for name in _CALLS:
        setattr(node_type, name, bounded()(getattr(node_type, name)))
    return node_type
