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

"""Joins frames with their detections by exact stamp. Uses no clock."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

F = TypeVar("F")
D = TypeVar("D")
WAITING = 64  # limit of frames, and of detections, of a camera that wait for their partner


class StampJoiner(Generic[F, D]):
    """Pairs frames and detections of one camera by stamp; the oldest are dropped when the queue is full.

    ``max_bytes`` limits the waiting frames. Not thread-safe.
    """

    def __init__(self, max_bytes: int = 64 << 20) -> None:
        self._max_bytes = max_bytes
        self._frames: OrderedDict[int, tuple[F, int]] = OrderedDict()
        self._found: OrderedDict[int, D] = OrderedDict()
        self._bytes = 0

    def frame(self, stamp_ns: int, frame: F, size: int) -> tuple[F, D] | None:
        """Add a frame of ``size`` bytes; returns the pair if its detections have arrived."""
        if stamp_ns in self._found:
            return frame, self._found.pop(stamp_ns)
        self._remove(stamp_ns)
        self._frames[stamp_ns] = (frame, size)
        self._bytes += size
        while self._frames and (self._bytes > self._max_bytes or len(self._frames) > WAITING):
            self._remove(next(iter(self._frames)))
        return None

    def detections(self, stamp_ns: int, found: D) -> tuple[F, D] | None:
        """Add detections; returns the pair if their frame has arrived."""
        if stamp_ns in self._frames:
            frame, _ = self._frames[stamp_ns]
            self._remove(stamp_ns)
            return frame, found
        self._found[stamp_ns] = found
        while len(self._found) > WAITING:
            self._found.popitem(last=False)
        return None

    def clear(self) -> None:
        """Drop everything that waits."""
        self._frames.clear()
        self._found.clear()
        self._bytes = 0

    def _remove(self, stamp_ns: int) -> None:
        _, size = self._frames.pop(stamp_ns, (None, 0))
        self._bytes -= size
