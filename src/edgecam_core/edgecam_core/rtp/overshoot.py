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

"""How far an encoder exceeds its target bitrate. Pure: has no clock."""

from __future__ import annotations

from edgecam_core.counters import Meter

WINDOW = 2.0  # seconds; long enough to contain keyframes and the frames between them
ENOUGH = 0.5  # seconds of stream before a ratio is reported
MOST = 1.5


class Overshoot:
    """Measures the overshoot of one encoder. Times are monotonic seconds.

    Software encoders keep to a bitrate over many seconds. After a change they may exceed it by a third for a while.
    """

    def __init__(self) -> None:
        self._coded, self._target, self._span = Meter(WINDOW), Meter(WINDOW), Meter(WINDOW)
        self._at: float | None = None

    def add(self, size: int, bitrate: float, now: float) -> None:
        """An access unit of ``size`` bytes was coded while the encoder's target was ``bitrate`` in bit/s."""
        if self._at is not None:
            span = min(now - self._at, 0.2)  # longer pauses are the source's, not the encoder's
            self._coded.add(now, size * 8)
            self._target.add(now, bitrate * span)
            self._span.add(now, span)
        self._at = now

    def factor(self, now: float) -> float:
        """Ratio of coded to target bits, from 1 to ``MOST``."""
        if self._span.sum(now) < ENOUGH:
            return 1.0
        return min(max(self._coded.sum(now) / max(self._target.sum(now), 1.0), 1.0), MOST)
