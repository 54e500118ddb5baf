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

"""The schedule of a rule, e.g. ``Mon-Fri/08:00-18:00,Sat``, in the machine's local time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(DAYS)
_PART = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)?/?(?:(?P<begin>\d\d?:\d\d)-(?P<end>\d\d?:\d\d))?", re.IGNORECASE
)
_FULL = 24 * 60


@dataclass(frozen=True)
class ScheduleSpan:
    """Minutes of the day from ``begin`` up to ``end`` on ``days`` (0: Monday). Past midnight if end <= begin."""

    days: frozenset[int]
    begin: int = 0
    end: int = _FULL

    def covers(self, day: int, minute: int) -> bool:
        """Whether a minute of a day of the week lies in the span."""
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True)
class Schedule:
    """Several spans; without spans, always."""

    spans: tuple[ScheduleSpan, ...] = ()

    def covers(self, stamp_ns: int) -> bool:
        """Whether a time, in nanoseconds since the epoch, lies in the schedule."""
        if not self.spans:
            return True
        local = time.localtime(stamp_ns // 10**9)
        return any(span.covers(local.tm_wday, local.tm_hour * 60 + local.tm_min) for span in self.spans)


ALWAYS = Schedule()


def parse_schedule(text: str) -> Schedule:
    """Parse days, times or both, separated by commas. Raises ValueError with the remedy."""
    return ALWAYS if text == "always" else Schedule(tuple(_span(text, part) for part in text.split(",")))


def _span(text: str, part: str) -> ScheduleSpan:
    match = _PART.fullmatch(part)
    wrong = ValueError(
        f"schedule={text} must be like Mon-Fri/08:00-18:00, Sat,Sun or 22:00-06:00: days from {', '.join(DAYS)}, "
        "times from 0:00 to 24:00"
    )
    if match is None or not part or part.startswith("/") or part.endswith("/"):
        raise wrong
    if match["first"] and match["begin"] and "/" not in part:
        raise wrong
    days = frozenset(range(7))
    if match["first"]:
        first = DAYS.index(match["first"].title())
        last = DAYS.index(match["last"].title()) if match["last"] else first
        days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
    if not match["begin"]:
        return ScheduleSpan(days)
    begin, end = _minute(match["begin"]), _minute(match["end"])
    if begin is None or end is None or begin in (_FULL, end):
        raise wrong
    return ScheduleSpan(days, begin, end)


def _minute(text: str) -> int | None:
    hours, minutes = (int(part) for part in text.split(":"))
    return hours * 60 + minutes if minutes < 60 and hours * 60 + minutes <= _FULL else None
