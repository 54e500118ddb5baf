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

"""Capture times at the receiver: chooses the source of each frame's stamp and keeps stamps increasing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from edgecam_core.rtp.clock import CLOCK_RATE, SECOND, ns_from_ntp, rtp_from_ns, signed_difference

FAR_NS = 60 * SECOND  # a sender clock further off is not set; the arrival time is better
STEP_NS = 1 * SECOND  # reports that differ by more contradict each other
LAST_NS = (1 << 31) * SECOND  # builtin_interfaces/Time has 32-bit signed seconds
_REPORT_BEHIND, _REPORT_AHEAD = -2 * CLOCK_RATE, 10 * CLOCK_RATE  # RTP time of a report relative to the newest unit
EXACT_NS = 1_000_000  # a stamp this close to the time of its source is attributed to that source
STAMP_SOURCES = ("ntp64", "rtp_timestamp", "rtcp", "arrival")
_WRAP = 1 << 32
_WINDOW = 64  # frames


class Stamp(NamedTuple):
    """A capture time in nanoseconds and its source, one of ``STAMP_SOURCES``."""

    ns: int
    source: str


class StampReader:
    """Stamps access units by the best source that the stream has. Units may arrive in decoding order.

    ``source`` is one of ``STAMP_SOURCES`` or ``auto`` (header extension, then RTCP, then arrival). The RTP timestamp
    is used only on request, because only the user can know that it is a capture time.

    RTCP time is used only while it lies within ``FAR_NS`` of the arrival. A report that contradicts the previous one is
    used only if the next report confirms it and its RTP time matches that of the units: after a jump of the sender's
    clock, a report may arrive while units of the old time are still queued. ``errors`` counts times that were not
    used.
    """

    def __init__(self, source: str = "auto") -> None:
        self._source = source
        self._report: tuple[int, int] | None = None  # nanoseconds, RTP timestamp
        self._doubtful: tuple[int, int] | None = None
        self._newest: int | None = None  # RTP timestamp of the last unit
        self._arrivals = _ArrivalLine()
        self.errors: Counter[str] = Counter()

    def report(self, ntp: int, rtp_timestamp: int) -> None:
        """An RTCP sender report of this stream arrived."""
        report = ns_from_ntp(ntp), rtp_timestamp
        repeated = _agree(self._doubtful, report)
        if self._report is None or _agree(self._report, report) or (repeated and self._belongs(rtp_timestamp)):
            self._report, self._doubtful = report, None
        else:
            self._doubtful = report
            self.errors["RTCP report contradicts the previous one: not used"] += not repeated

    def _belongs(self, rtp_timestamp: int) -> bool:
        """Whether a report covers the time of the arriving units."""
        if self._newest is None:
            return True
        return _REPORT_BEHIND <= signed_difference(rtp_timestamp, self._newest) <= _REPORT_AHEAD

    def reset(self) -> None:
        """Start again for another stream."""
        self._report = self._doubtful = self._newest = None
        self._arrivals = _ArrivalLine()

    def jumped(self, rtp_timestamp: int, arrival_ns: int) -> None:
        """The sender's RTP time jumped: discard the mapping of its old time."""
        report = self._doubtful or self._report  # the first report of the new time may have arrived already
        self.reset()
        if report is not None and abs(_mapped(report, rtp_timestamp) - arrival_ns) < 2 * STEP_NS:
            self._report = report

    def stamp(self, extension_ns: int | None, rtp_timestamp: int, arrival_ns: int) -> Stamp:
        """The stamp of one unit. ``arrival_ns`` is the wall-clock arrival time of its first packet."""
        self._newest = rtp_timestamp
        if extension_ns is not None and self._source in ("auto", "ntp64"):
            if extension_ns < LAST_NS:
                return Stamp(extension_ns, "ntp64")
            self.errors["capture time after 2038, which ROS cannot represent: not used"] += 1
        if self._source == "rtp_timestamp":
            near = rtp_from_ns(arrival_ns)
            ticks = near + signed_difference(rtp_timestamp, near % _WRAP)
            return Stamp(ticks * 100_000 // 9, "rtp_timestamp")
        by_arrival = self._arrivals.stamp(rtp_timestamp, arrival_ns)
        if self._report is not None and self._source in ("auto", "rtcp"):
            mapped_ns = _mapped(self._report, rtp_timestamp)
            if abs(mapped_ns - arrival_ns) <= FAR_NS:
                return Stamp(mapped_ns, "rtcp")
            self.errors[f"RTCP time over {FAR_NS // SECOND} s off: arrival time used"] += 1
        return Stamp(by_arrival, "arrival")


class _ArrivalLine:
    """Capture time from RTP time and the smallest recent delay.

    Arrival times jitter, and with B-frames they are not in presentation order.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # RTP timestamp, and the same in nanoseconds without wraps
        self._offset_ns = 0
        self._delays_ns: list[int] = []  # relative to the smallest, since the offset changed

    def stamp(self, rtp_timestamp: int, arrival_ns: int) -> int:
        if self._last is None:
            self._last = (rtp_timestamp, 0)
            self._offset_ns = arrival_ns
        elapsed_ns = self._last[1] + signed_difference(rtp_timestamp, self._last[0]) * 100_000 // 9
        self._last = (rtp_timestamp, elapsed_ns)
        self._delays_ns.append(arrival_ns - elapsed_ns - self._offset_ns)
        if self._delays_ns[-1] < 0 or len(self._delays_ns) == _WINDOW:
            self._offset_ns += min(self._delays_ns)
            self._delays_ns.clear()
        return elapsed_ns + self._offset_ns


class PublishedStamps:
    """The stamps of frames in presentation order, strictly increasing.

    If a better source has an earlier time, the stamps run at half speed until they reach it. Capture times of the
    header extension are published unchanged. Only they may step back: with a new stream, or by at least ``STEP_NS``
    (the sender's clip or simulation restarted). ``steps_back`` counts this. ``source`` is the source of the last stamp.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._pts = self._line = 0
        self.source = "none"
        self.steps_back = 0

    def next(self, stamp: Stamp, pts: int, line: int) -> int:
        """The stamp to publish, in nanoseconds. ``pts`` and ``line`` are those of the frame's ``Place``."""
        published, exact = stamp.ns, stamp.source == "ntp64"
        if self._last_ns is not None:
            passed = (pts - self._pts) // 2 if line == self._line and not exact else 0
            restarted = exact and (line != self._line or stamp.ns <= self._last_ns - STEP_NS)
            self.steps_back += restarted and stamp.ns <= self._last_ns
            published = stamp.ns if restarted else max(stamp.ns, self._last_ns + max(1, passed))
        if self.source == "none" or abs(published - stamp.ns) <= EXACT_NS:
            self.source = stamp.source
        self._last_ns, self._pts, self._line = published, pts, line
        return published


def _mapped(report: tuple[int, int], rtp_timestamp: int) -> int:
    """Nanoseconds of an RTP timestamp according to a sender report (nanoseconds, RTP timestamp)."""
    return report[0] + signed_difference(rtp_timestamp, report[1]) * 100_000 // 9


def _agree(one: tuple[int, int] | None, other: tuple[int, int]) -> bool:
    return one is not None and abs(_mapped(one, other[1]) - other[0]) < STEP_NS
