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

"""Collects the exceptions of a node: each kind is logged once with its location, counted, and shown in /diagnostics."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.errors import EdgecamError
from edgecam_core.masking import masked

SHOWN_SECONDS = 10.0
MAX_KINDS = 50
MAX_TEXT = 500  # characters of one exception
_LIBRARIES = ("site-packages", "dist-packages", "/lib/python3", "<")


@dataclass(frozen=True)
class Fault:
    """One exception. ``refusal``: it rejects input (EdgecamError); otherwise it is a defect."""

    where: str
    text: str
    refusal: bool
    at: float

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class FaultLog:
    """Records the exceptions of a node's hooks, callbacks and threads. Thread-safe.

    ``log`` is called once per kind (callback, exception type, source line). After ``MAX_KINDS`` kinds, others are only
    counted. ``now`` is a monotonic clock in seconds.
    """

    def __init__(self, log: Callable[[str], object], now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._kinds: set[tuple[str, str, str]] = set()
        self._last: Fault | None = None
        self.count = 0

    def add(self, where: str, error: BaseException) -> EdgecamError:
        """Count an exception of ``where`` (callback, hook or thread), log it if new; returns it as an EdgecamError."""
        known, line = EdgecamError.of(error), place(error)
        refusal = known is error
        text = _one_line(masked(str(known) if refusal else f"{known} ({line})"))
        self._last = Fault(where, text, refusal, self._now())
        self.count += 1
        kind = (where, type(error).__name__, line)
        if kind not in self._kinds and len(self._kinds) < MAX_KINDS:
            self._kinds.add(kind)
            self._log(str(self._last))
        return known

    def forget(self) -> None:
        """Log known kinds again, after the node has restarted."""
        self._kinds.clear()

    def recent(self) -> Fault | None:
        """The newest exception, if it is recent enough to show."""
        last = self._last
        return last if last is not None and self._now() - last.at < SHOWN_SECONDS else None

    def values(self) -> Mapping[str, object]:
        """Values for /diagnostics; empty if there were no exceptions."""
        last = self._last
        return {} if last is None else {"faults": self.count, "last_fault": str(last)}


def _one_line(text: str) -> str:
    """The text on one line; the middle of a long text is omitted."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_TEXT else f"{flat[: MAX_TEXT // 2]} ... {flat[-MAX_TEXT // 2 :]}"


def place(error: BaseException) -> str:
    """``package/file.py:line`` of the innermost traceback line outside libraries, otherwise of the last line."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown location"
    ours = [one for one in frames if "edgecam_" in one.filename or not any(mark in one.filename for mark in _LIBRARIES)]
    frame = (ours or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"
