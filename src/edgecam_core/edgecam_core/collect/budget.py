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

"""Limits the number of kept frames, and selects which to delete when the disk share is full."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from edgecam_core.collect.rules import REQUEST

HOUR = 3600.0
DAY_NS = 86_400 * 10**9
SET_NS = 1_577_836_800 * 10**9  # 2020-01-01: a clock before it was not set, as after a start without network
MEGABYTE = 1e6


class Budget:
    """Counts the frames kept in the last hour, in total and by rule. Times are seconds of any monotonic clock.

    Frames kept on request count, but the hourly limits never refuse them.
    """

    def __init__(self, max_per_hour: int, max_per_rule: int) -> None:
        self.max_per_hour = max_per_hour
        self.max_per_rule = max_per_rule
        self._kept: deque[tuple[float, str]] = deque()

    def refusal(self, rule: str, now: float) -> str:
        """Why a frame of this rule may not be kept now; empty if it may."""
        while self._kept and now - self._kept[0][0] >= HOUR:
            self._kept.popleft()
        if rule == REQUEST:
            return ""
        if len(self._kept) >= self.max_per_hour:
            return "over max_per_hour"
        if sum(name == rule for _, name in self._kept) >= self.max_per_rule:
            return f"over max_per_rule ({rule})"
        return ""

    def spend(self, rule: str, now: float) -> None:
        """Count a kept frame."""
        self._kept.append((now, rule))

    def refund(self, rule: str) -> None:
        """Uncount the newest frame of this rule: it could not be stored."""
        for index in range(len(self._kept) - 1, -1, -1):
            if self._kept[index][1] == rule:
                del self._kept[index]
                return


def least_valuable(values: Iterable[tuple[float, int, str]], excess: int) -> list[str]:
    """The names to delete to free at least ``excess`` bytes, lowest value first, then oldest first.

    Args:
        values: (value, size in bytes, name) of every frame that may be deleted, oldest first.
        excess: bytes to free.
    """
    names = []
    for _, size, name in sorted(values, key=lambda item: item[0]):
        if excess <= 0:
            break
        names.append(name)
        excess -= size
    return names


def outdated(kept_ns: int, first_seen_ns: int, now_ns: int, days: float) -> bool:
    """Whether a frame is older than ``days``. Times are those of the system clock, in nanoseconds since 1970.

    While the clock is not set, no frame is. A frame that was kept then has an unknown age, which counts from
    ``first_seen_ns``.
    """
    since = kept_ns if kept_ns >= SET_NS else first_seen_ns
    return now_ns >= SET_NS and now_ns - since > days * DAY_NS
