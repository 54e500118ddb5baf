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

"""Spreads the packets of a frame over time, so that the queue in front of a slow link stays short."""

from __future__ import annotations

import threading
import time

MIN_BURST = 3 * 1400.0  # bytes
BURST_SECONDS = 0.002  # the accuracy of a sleep


class Pacer:
    """A leaky bucket for one sending thread. Without a rate it never waits; setting ``stopping`` ends a wait."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._rate: float | None = None  # bytes per second
        self._debt = 0.0  # bytes sent ahead of the rate
        self._at = time.monotonic()

    def set_rate(self, bitrate: float | None) -> None:
        """Limit packets to this many bit/s; None: no limit."""
        self._rate = None if bitrate is None else bitrate / 8

    def wait(self, size: int) -> None:
        """Block until a packet of ``size`` bytes may be sent."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._debt = max(0.0, self._debt - (now - self._at) * self._rate)
        self._at = now
        burst = max(MIN_BURST, self._rate * BURST_SECONDS)
        if self._debt > burst:
            self._stopping.wait((self._debt - burst) / self._rate)
        self._debt += size
