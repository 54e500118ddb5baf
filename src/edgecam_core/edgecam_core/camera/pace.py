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

"""Rate limiting and counting of dropped frames."""

from __future__ import annotations


class RateLimit:
    """Passes at most ``rate`` frames per second, evenly spaced; 0 passes all. Not thread-safe."""

    def __init__(self, rate: float) -> None:
        self._period = int(1e9 / rate) if rate else 0
        self._due: int | None = None

    def take(self, pts_ns: int) -> bool:
        """Whether to pass on the frame with this timestamp."""
        if not self._period or pts_ns < 0:
            return True
        late = self._due is None or pts_ns > self._due + self._period or pts_ns < self._due - 2 * self._period
        if late or self._due is None:
            self._due = pts_ns + self._period
            return True
        # Accept a slightly early frame, because cameras jitter.
        if pts_ns < self._due - self._period // 10:
            return False
        self._due += self._period
        return True


class Arrivals:
    """Counts frames that reached the sink but were replaced before they were pulled.

    GStreamer's count restarts at zero after each seek; this class adds up the runs.
    """

    def __init__(self) -> None:
        self._earlier = 0  # drops of runs that have ended
        self._arrived = 0
        self._before = 0
        self._taken = 0
        self._waiting = 0

    def update(self, arrived: int, waiting: int) -> None:
        """Call after pulling each frame, with the counts of the sink."""
        self._taken += 1
        self._arrived += arrived - self._before if arrived >= self._before else arrived
        self._before = arrived
        self._waiting = waiting

    def restarted(self) -> None:
        """The pipeline has ended; the next one counts from zero."""
        self._earlier = self.drops
        self._arrived = self._before = self._taken = self._waiting = 0

    @property
    def drops(self) -> int:
        return self._earlier + max(0, self._arrived - self._taken - self._waiting)
