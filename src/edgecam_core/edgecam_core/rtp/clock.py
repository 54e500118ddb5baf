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

"""Capture time across the link: nanosecond stamps to NTP-64 and RTP time, and back.

Each packet carries the stamp twice: exactly, in the NTP-64 header extension (``urn:ietf:params:rtp-hdrext:ntp-64``,
RFC 6051), and with a resolution of 11 µs, as the RTP timestamp (90 kHz, modulo 2**32). Streams of other senders carry
neither. For those, RTCP sender reports (RFC 3550 section 6.4.1) map RTP time to NTP time from the first report on.
"""

from __future__ import annotations

import struct

NTP_URI = "urn:ietf:params:rtp-hdrext:ntp-64"
NTP_ID = 1
CLOCK_RATE = 90_000
UNIX_EPOCH_IN_NTP = 2_208_988_800  # seconds from 1900 to 1970
SECOND = 1_000_000_000
_ERA = 1 << 32
_WRAP = 1 << 32
_NTP = struct.Struct("!Q")


def ntp_from_ns(stamp_ns: int) -> int:
    """Unix nanoseconds as a 64-bit NTP timestamp; converting back yields the same nanosecond."""
    seconds, rest = divmod(stamp_ns, SECOND)
    fraction = ((rest << 32) + SECOND // 2) // SECOND
    return ((seconds + UNIX_EPOCH_IN_NTP) % _ERA) << 32 | fraction


def ns_from_ntp(ntp: int) -> int:
    """A 64-bit NTP timestamp as Unix nanoseconds. Seconds before 1970 are read as NTP era 1 (from 2036)."""
    seconds, fraction = ntp >> 32, ntp & 0xFFFFFFFF
    if seconds < UNIX_EPOCH_IN_NTP:
        seconds += _ERA
    return (seconds - UNIX_EPOCH_IN_NTP) * SECOND + ((fraction * SECOND + (1 << 31)) >> 32)


def ntp_extension(stamp_ns: int) -> bytes:
    """The NTP-64 header extension element, eight bytes."""
    return _NTP.pack(ntp_from_ns(stamp_ns))


def stamp_from_extension(value: bytes) -> int | None:
    """Unix nanoseconds of an NTP-64 header extension element; None if it is not eight bytes long."""
    return ns_from_ntp(_NTP.unpack(value)[0]) if len(value) == 8 else None


def rtp_from_ns(stamp_ns: int) -> int:
    """A stamp in 90 kHz units, not yet modulo 2**32."""
    return stamp_ns * 9 // 100_000


def signed_difference(later: int, earlier: int) -> int:
    """``later - earlier`` of two 32-bit RTP timestamps, between -2**31 and 2**31 - 1."""
    return (later - earlier + (1 << 31)) % _WRAP - (1 << 31)


class RtpTimeline:
    """The sender's RTP timestamps: the stamps in 90 kHz units, always increasing.

    If a stamp repeats or steps back by less than a second, the timestamp advances by one tick. If stamps jump (a clip
    restarts, simulated time is reset, a source paused), it advances by one frame interval, so that players do not
    stall. From then on RTP time and stamp differ by ``offset``; only the header extension and RTCP carry the stamp.
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
