"""Capture time across the link: nanosecond stamps to NTP-64 and RTP time, and back.

A stamp travels twice: exactly, in the NTP-64 header extension of every packet (``urn:ietf:params:rtp-hdrext:ntp-64``,
RFC 6051), and to 11 µs, as the RTP timestamp itself (90 kHz, modulo 2**32). Streams of other senders have neither;
RTCP sender reports (RFC 3550 section 6.4.1) map their RTP time to NTP time once the first one has come.
"""

from __future__ import annotations

import struct
from collections import Counter

NTP_URI = "urn:ietf:params:rtp-hdrext:ntp-64"
NTP_ID = 1
CLOCK_RATE = 90_000
UNIX_EPOCH_IN_NTP = 2_208_988_800  # seconds from 1900 to 1970
SECOND = 1_000_000_000
_ERA = 1 << 32
_WRAP = 1 << 32
_NTP = struct.Struct("!Q")
FAR_NS = 60 * SECOND  # a sender's clock further off is not set: its time is worth less than the arrival
STEP_NS = 1 * SECOND
STAMP_SOURCES = ("ntp64", "rtp_timestamp", "rtcp", "arrival")


def ntp_from_ns(stamp_ns: int) -> int:
    """Unix nanoseconds as a 64-bit NTP time stamp; the way back gives the same nanosecond."""
    seconds, rest = divmod(stamp_ns, SECOND)
    fraction = ((rest << 32) + SECOND // 2) // SECOND
    return ((seconds + UNIX_EPOCH_IN_NTP) % _ERA) << 32 | fraction


def ns_from_ntp(ntp: int) -> int:
    """A 64-bit NTP time stamp as Unix nanoseconds. Seconds before 1970 are read as era 1, from 2036 on."""
    seconds, fraction = ntp >> 32, ntp & 0xFFFFFFFF
    if seconds < UNIX_EPOCH_IN_NTP:
        seconds += _ERA
    return (seconds - UNIX_EPOCH_IN_NTP) * SECOND + ((fraction * SECOND + (1 << 31)) >> 32)


def ntp_extension(stamp_ns: int) -> bytes:
    """The eight bytes of the header extension element."""
    return _NTP.pack(ntp_from_ns(stamp_ns))


def stamp_from_extension(value: bytes) -> int | None:
    """Nanoseconds of a header extension element; None when it is not eight bytes long."""
    return ns_from_ntp(_NTP.unpack(value)[0]) if len(value) == 8 else None


def rtp_from_ns(stamp_ns: int) -> int:
    """A stamp in 90 kHz units, not yet modulo 2**32."""
    return stamp_ns * 9 // 100_000


def signed_difference(later: int, earlier: int) -> int:
    """``later - earlier`` of two 32-bit RTP timestamps, between -2**31 and 2**31 - 1."""
    return (later - earlier + (1 << 31)) % _WRAP - (1 << 31)


class RtpTimeline:
    """The sender's RTP timestamps: the stamps in 90 kHz, but always increasing.

    A stamp that repeats or steps back a little moves one tick on. A jump (a clip starts again, simulated time
    was reset, a source slept) keeps the RTP time running by one frame interval, so that players do not stall;
    from then on RTP time and stamp differ by ``offset`` and only the header extension and RTCP tell the stamp.
    """

    LEAP = 10 * CLOCK_RATE
    STEP = CLOCK_RATE // 30

    def __init__(self) -> None:
        self.offset = 0
        self._last: int | None = None

    def timestamp(self, stamp_ns: int) -> int:
        """The 32-bit RTP timestamp of the next frame."""
        now = rtp_from_ns(stamp_ns) + self.offset
        if self._last is not None:
            if not -CLOCK_RATE <= now - self._last <= self.LEAP:
                self.offset += self._last + self.STEP - now
                now = self._last + self.STEP
            now = max(now, self._last + 1)
        self._last = now
        return now % _WRAP


class StampReader:
    """The receiver's side: the stamp of a frame by the best source the stream has.

    ``wanted`` is one of ``STAMP_SOURCES`` or ``auto`` (header extension, then RTCP, then arrival; RTP time is taken
    for the stamp only when asked for, because only the user can know that it is one). ``source`` tells what the last
    frame got.

    RTCP time is taken only while it lies within ``FAR_NS`` of the arrival and does not step back by ``STEP_NS`` or
    more; stamps by RTCP or arrival never go back within a stream. ``troubles`` counts what was not taken.
    """

    def __init__(self, wanted: str = "auto") -> None:
        self._wanted = wanted
        self._report: tuple[int, int] | None = None
        self._last: tuple[int, int] | None = None  # stamp and RTP timestamp of the last frame without an exact stamp
        self.source = "none"
        self.troubles: Counter[str] = Counter()

    def report(self, ntp: int, rtp_timestamp: int) -> None:
        """An RTCP sender report of this stream came."""
        report = ns_from_ntp(ntp), rtp_timestamp
        if self._last is not None and _mapped(report, self._last[1]) <= self._last[0] - STEP_NS:
            self.troubles["report with a time that steps back: not taken"] += 1
        else:
            self._report = report

    def reset(self) -> None:
        """Another stream begins."""
        self._report = self._last = None

    def stamp(self, extension_ns: int | None, rtp_timestamp: int, arrival_ns: int) -> int:
        """Nanoseconds for one frame. ``arrival_ns``: when its first packet came, in the receiver's wall clock."""
        if extension_ns is not None and self._wanted in ("auto", "ntp64"):
            self.source = "ntp64"
            return extension_ns
        if self._wanted == "rtp_timestamp":
            self.source = "rtp_timestamp"
            near = rtp_from_ns(arrival_ns)
            return (near + signed_difference(rtp_timestamp, near % _WRAP)) * 100_000 // 9
        self.source, stamp_ns = "arrival", arrival_ns
        if self._report is not None and self._wanted in ("auto", "rtcp"):
            mapped_ns = _mapped(self._report, rtp_timestamp)
            if abs(mapped_ns - arrival_ns) <= FAR_NS:
                self.source, stamp_ns = "rtcp", mapped_ns
            else:
                self.troubles[f"RTCP time over {FAR_NS // SECOND} s off: arrival time taken"] += 1
        if self._last is not None:
            stamp_ns = max(stamp_ns, self._last[0] + 1)
        self._last = (stamp_ns, rtp_timestamp)
        return stamp_ns


def _mapped(report: tuple[int, int], rtp_timestamp: int) -> int:
    """Nanoseconds of an RTP timestamp, given those of a report's."""
    return report[0] + signed_difference(rtp_timestamp, report[1]) * 100_000 // 9
