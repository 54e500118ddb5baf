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

"""The receiver's capture times: chooses the source of a frame's stamp and keeps stamps increasing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from edgecam_core.rtp.clock import CLOCK_RATE, SECOND, ns_from_ntp, rtp_from_ns, signed_difference

FAR_NS = 60 * SECOND  # a sender's clock further off is not set; the arrival is better
STEP_NS = 1 * SECOND  # reports that differ by more contradict each other
LAST_NS = (1 << 31) * SECOND  # builtin_interfaces/Time counts seconds in 32 bits with a sign
_REPORT_BEHIND, _REPORT_AHEAD = -2 * CLOCK_RATE, 10 * CLOCK_RATE  # a report's RTP time, seen from the newest unit
EXACT_NS = 1_000_000  # a stamp this close to its source's time is that source's
STAMP_SOURCES = ("ntp64", "rtp_timestamp", "rtcp", "arrival")
_WRAP = 1 << 32
_WINDOW = 64  # frames


class Stamp(NamedTuple):
    """A capture time in nanoseconds and its source, one of ``STAMP_SOURCES``."""

    ns: int
    source: str


class StampReader:
    """The stamp of an access unit by the best source its stream has. Units may arrive in decoding order.

    ``wanted`` is one of ``STAMP_SOURCES`` or ``auto`` (header extension, then RTCP, then arrival; RTP time is taken
    for the stamp only on request, because only the user can know that it is one).

    RTCP time is taken only while it lies within ``FAR_NS`` of the arrival. A report that contradicts the one before is
    taken only when the next one confirms it and its RTP time is that of the units: after a jump of the sender it may
    come while units of the old time are still waiting. ``troubles`` counts what was not taken.
    """

    def __init__(self, wanted: str = "auto") -> None:
        self._wanted = wanted
        self._report: tuple[int, int] | None = None  # nanoseconds, RTP timestamp
        self._doubtful: tuple[int, int] | None = None
        self._newest: int | None = None  # RTP timestamp of the last unit
        self._arrivals = _ArrivalLine()
        self.troubles: Counter[str] = Counter()

    def report(self, ntp: int, rtp_timestamp: int) -> None:
        """An RTCP sender report of this stream arrived."""
        report = ns_from_ntp(ntp), rtp_timestamp
        repeated = _agree(self._doubtful, report)
        if self._report is None or _agree(self._report, report) or (repeated and self._belongs(rtp_timestamp)):
            self._report, self._doubtful = report, None
        else:
            self._doubtful = report
            self.troubles["RTCP report contradicts the one before: not taken"] += not repeated

    def _belongs(self, rtp_timestamp: int) -> bool:
        """Whether a report covers the time of the arriving units."""
        if self._newest is None:
            return True
        return _REPORT_BEHIND <= signed_difference(rtp_timestamp, self._newest) <= _REPORT_AHEAD

    def reset(self) -> None:
        """Another stream begins."""
        self._report = self._doubtful = self._newest = None
        self._arrivals = _ArrivalLine()

    def jumped(self, rtp_timestamp: int, arrival_ns: int) -> None:
        """The sender's RTP time jumped: forget what its old time meant."""
        report = self._doubtful or self._report  # the first report of the new time may have arrived already
        self.reset()
        if report is not None and abs(_mapped(report, rtp_timestamp) - arrival_ns) < 2 * STEP_NS:
            self._report = report

    def stamp(self, extension_ns: int | None, rtp_timestamp: int, arrival_ns: int) -> Stamp:
        """The stamp of one unit. ``arrival_ns``: arrival of its first packet, in the receiver's wall clock."""
        self._newest = rtp_timestamp
        if extension_ns is not None and self._wanted in ("auto", "ntp64"):
            if extension_ns < LAST_NS:
                return Stamp(extension_ns, "ntp64")
            self.troubles["capture time after 2038, which ROS cannot represent: not used"] += 1
        if self._wanted == "rtp_timestamp":
            near = rtp_from_ns(arrival_ns)
            ticks = near + signed_difference(rtp_timestamp, near % _WRAP)
            return Stamp(ticks * 100_000 // 9, "rtp_timestamp")
        by_arrival = self._arrivals.stamp(rtp_timestamp, arrival_ns)
        if self._report is not None and self._wanted in ("auto", "rtcp"):
            mapped_ns = _mapped(self._report, rtp_timestamp)
            if abs(mapped_ns - arrival_ns) <= FAR_NS:
                return Stamp(mapped_ns, "rtcp")
            self.troubles[f"RTCP time over {FAR_NS // SECOND} s off: arrival time taken"] += 1
        return Stamp(by_arrival, "arrival")


class _ArrivalLine:
    """Capture time from RTP time and the smallest delay seen lately.

    The arrival of single frames jitters, and with B-frames it is not even in presentation order.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # RTP timestamp, and the same in nanoseconds without wraps
        self._offset_ns = 0
        self._delays_ns: list[int] = []  # beyond the smallest, since the offset changed

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

    Where a better source has an earlier time, the stamps run at half speed until they have reached it. Capture times
    of the header extension are published as they are; only they may step back, with a new stream or by ``STEP_NS`` or
    more (the sender's clip or simulation restarted), and that is counted. ``source`` is the last stamp's source.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._pts = self._line = 0
        self.source = "none"
        self.steps_back = 0

    def next(self, stamp: Stamp, pts: int, line: int) -> int:
        """The stamp to publish in nanoseconds. ``pts`` and ``line`` are the frame's place in the decoder's time."""
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
    """Nanoseconds of an RTP timestamp, given those of a report's."""
    return report[0] + signed_difference(rtp_timestamp, report[1]) * 100_000 // 9


def _agree(one: tuple[int, int] | None, other: tuple[int, int]) -> bool:
    return one is not None and abs(_mapped(one, other[1]) - other[0]) < STEP_NS
