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

"""Maps RTP timestamps to presentation times for the decoder, and detects jumps of the sender's time."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

from edgecam_core.rtp.clock import CLOCK_RATE, SECOND, signed_difference

_LINE_GAP_NS = 3600 * SECOND  # between two timelines: later frames never sort before earlier ones
_REORDER_FRAMES = 17  # H.264 and H.265 reorder within 16 frames at most
_REORDER_LEAST = CLOCK_RATE // 2
_AHEAD_NS = 5 * SECOND  # RTP time that advances this much faster than the arrival time has jumped
_REMEMBERED = 32


class Place(NamedTuple):
    """The position of a frame: ``pts`` in nanoseconds, increasing in presentation order; ``line`` counts timelines."""

    pts: int
    line: int


class Timeline:
    """Places each access unit in time. Units arrive in decoding order; their timestamps are in presentation order.

    A new timeline begins with each stream and each jump of the sender's time. A jump is a timestamp further back than
    reordering explains, a random access point before an earlier frame (which no standard allows), or a timestamp more
    than ``_AHEAD_NS`` ahead of the elapsed time.
    """

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=_REMEMBERED)  # timestamps, relative to the first of the line
        self._first = 0
        self._newest = 0  # highest relative timestamp
        self._newest_arrival_ns = 0
        self._stream = self._repeats = 0
        self._base_ns = 0
        self._highest_ns = 0
        self._line = 0
        self.jumps = 0  # jumps of the sender's time within a stream

    def place(self, stream: int, timestamp: int, random_access: bool, arrival_ns: int) -> Place:
        """The place of the next access unit; ``arrival_ns`` is its arrival time on any monotonic clock."""
        if stream != self._stream:
            self._stream = stream
            self._begin(timestamp)
        elif self._jumps(timestamp, random_access, arrival_ns):
            self.jumps += 1
            self._begin(timestamp)
        relative = self._newest + signed_difference(timestamp, self._first + self._newest)
        pts = self._base_ns + relative * SECOND // CLOCK_RATE
        self._repeats = self._repeats + 1 if self._recent and self._recent[-1] == relative else 0
        pts += self._repeats  # the two fields of a frame, or a sender whose time does not advance
        if not self._recent or relative > self._newest:
            self._newest, self._newest_arrival_ns = relative, arrival_ns
        self._recent.append(relative)
        self._highest_ns = max(self._highest_ns, pts)
        return Place(pts, self._line)

    def _jumps(self, timestamp: int, random_access: bool, arrival_ns: int) -> bool:
        step = signed_difference(timestamp, self._first + self._newest)
        if step <= 0:
            return step < 0 and (random_access or -step > self._reordering())
        return step * SECOND // CLOCK_RATE > max(0, arrival_ns - self._newest_arrival_ns) + _AHEAD_NS

    def _reordering(self) -> int:
        """How far back a reordered frame may lie at the current frame rate, in RTP clock units."""
        steps = [later - earlier for earlier, later in pairwise(sorted(set(self._recent)))]
        return max(_REORDER_LEAST, _REORDER_FRAMES * min(steps, default=0))

    def _begin(self, timestamp: int) -> None:
        self._base_ns = self._highest_ns + _LINE_GAP_NS
        self._recent.clear()
        self._first, self._newest = timestamp, 0
        self._line += 1
