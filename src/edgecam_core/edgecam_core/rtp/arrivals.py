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

"""Arrival times of the packets of a stream, for congestion control feedback (RFC 8888)."""

from __future__ import annotations

from collections import OrderedDict

REPORTED_TWICE_NS = 100_000_000  # a lost report costs nothing: the next ones repeat its content
_MOST = 1024


class PacketArrivals:
    """Records the first arrival of each packet. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._at: OrderedDict[int, int] = OrderedDict()  # by extended sequence number
        self._highest: int | None = None
        self._fresh = False

    def note(self, sequence: int, now_ns: int) -> None:
        highest = sequence if self._highest is None else self._highest
        number = highest + (sequence - highest + (1 << 15)) % (1 << 16) - (1 << 15)
        if number in self._at:
            return
        if abs(number - highest) > _MOST:  # the sender restarted
            self._at.clear()
            highest = number
        self._at[number] = now_ns
        self._highest = max(highest, number)
        self._fresh = True

    def report(self, now_ns: int) -> tuple[int, list[float | None]] | None:
        """The first sequence number, and the age in seconds of it and each following packet (None: not arrived).

        Returns None if nothing has arrived since the last report.
        """
        if not self._fresh or self._highest is None:
            return None
        self._fresh = False
        while len(self._at) > _MOST:
            self._at.popitem(last=False)
        first = self._highest
        for number, at in reversed(self._at.items()):  # in the order of arrival
            if now_ns - at >= REPORTED_TWICE_NS + 100_000_000:
                break
            first = min(first, number)
        first = max(first, self._highest - _MOST + 1)
        times = (self._at.get(number) for number in range(first, self._highest + 1))
        return first, [None if at is None else (now_ns - at) / 1e9 for at in times]
