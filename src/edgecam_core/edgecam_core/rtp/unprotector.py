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

"""The receiving side of Secure RTP: authenticates, decrypts, and finds the rollover counter.

SRTP packets do not carry the rollover counter (RFC 3711 section 3.3.1). A receiver that joins late, or that missed
more than half of the sequence number range, must find it by trial.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from edgecam_core.rtp.srtp import SrtpSession

MAX_STREAMS = 64
MAX_ROLLOVERS = 1 << 16  # sequence numbers wrap every few minutes: this covers most of a year
TRIALS = 8  # for one packet
TRIALS_PER_SECOND = 400  # each takes about 50 microseconds
RESERVE = 200  # trials reserved for known SSRCs, so that a flood of new SSRCs cannot use up the budget
MAX_SEARCHES = 4096
REPEATS = 16  # packets in a row that look like old ones
SILENT_SECONDS = 10.0  # without an authentic packet the sender may have restarted
AUTHENTICATION_FAILED = "SRTP authentication failed"
_REPLAYED, _TOO_OLD = 9, 10


class Unprotector:
    """Authenticates and decrypts received packets. Thread-safe.

    The work for packets that fail authentication is bounded: one check each, and ``TRIALS_PER_SECOND`` trials in
    total. ``clock`` returns monotonic seconds.
    """

    def __init__(self, cipher: str, key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._cipher, self._key, self._clock = cipher, key, clock
        self._lock = threading.Lock()
        # Separate sessions, so that a new rollover counter for RTP does not reset the replay protection of RTCP.
        self._rtp: OrderedDict[int, SrtpSession] = OrderedDict()
        self._rtcp: OrderedDict[int, SrtpSession] = OrderedDict()
        self._authentic_at: dict[int, float] = {}
        self._repeats: dict[int, int] = {}
        self._turns: OrderedDict[int, int] = OrderedDict()  # progress of the search, by SSRC
        self._trials = float(TRIALS_PER_SECOND)
        self._refilled_at = clock()

    def rtp(self, data: bytes) -> tuple[bytes | None, str]:
        """The decrypted packet and "", or None and the reason ("" for a harmless duplicate)."""
        if len(data) < 12:
            return None, "not RTP"
        ssrc = int.from_bytes(data[8:12], "big")
        with self._lock:
            session = self._rtp.get(ssrc)
            if session is not None:
                status, clear = session.call("srtp_unprotect", data)
                if not status:
                    self._authentic_at[ssrc] = self._clock()
                    self._repeats.pop(ssrc, None)
                    return clear, ""
                if status in (_REPLAYED, _TOO_OLD) and not self._only_repeats(ssrc):
                    return None, ""
            found = self._search(ssrc, data, session)
        return (found, "") if found is not None else (None, AUTHENTICATION_FAILED)

    def _only_repeats(self, ssrc: int) -> bool:
        """Whether all recent packets look like duplicates: after an outage, new packets look like old ones."""
        self._repeats[ssrc] = self._repeats.get(ssrc, 0) + 1
        return self._repeats[ssrc] > REPEATS

    def _search(self, ssrc: int, data: bytes, known: SrtpSession | None) -> bytes | None:
        """Try some rollover counters for this packet; the next packet continues the search where this one stopped."""
        turn = self._turns.pop(ssrc, None)
        may_try = self._take_trials(TRIALS, RESERVE if turn is None else 0)
        self._turns[ssrc] = (turn or 0) + may_try
        while len(self._turns) > MAX_SEARCHES:
            self._turns.popitem(last=False)
        for count in self._candidates(ssrc, known, turn or 0) if may_try else ():
            session = SrtpSession(self._cipher, self._key, ssrc)
            if count:
                session.set_rollover(count)
            status, clear = session.call("srtp_unprotect", data)
            if not status:
                self._turns.pop(ssrc, None)
                self._authentic_at[ssrc] = self._clock()
                self._keep(self._rtp, ssrc, session)
                return clear
        return None

    def _candidates(self, ssrc: int, known: SrtpSession | None, turn: int) -> list[int]:
        """``TRIALS`` rollover counters to try; half of them are always the most likely ones.

        They count up from the known counter or from 0, but never below the known counter while the stream is active:
        replayed packets must not be accepted.
        """
        is_silent = self._clock() - self._authentic_at.get(ssrc, 0.0) > SILENT_SECONDS
        starts = ([] if known is None else [known.rollover()]) + ([0] if known is None or is_silent else [])
        half = TRIALS // 2 // len(starts)
        steps = [*range(half), *((half * (1 + turn) + step) % MAX_ROLLOVERS for step in range(half))]
        return [start + step for start in starts for step in steps]

    def _take_trials(self, count: int, reserve: int = 0) -> bool:
        """Take ``count`` trials from the budget; False if fewer than ``reserve`` would remain."""
        now = self._clock()
        self._trials = min(self._trials + (now - self._refilled_at) * TRIALS_PER_SECOND, TRIALS_PER_SECOND)
        self._refilled_at = now
        if self._trials < count + reserve:
            return False
        self._trials -= count
        return True

    def rtcp(self, data: bytes) -> bytes | None:
        """The decrypted compound packet; None if authentication fails."""
        if len(data) < 8:
            return None
        ssrc = int.from_bytes(data[4:8], "big")
        with self._lock:
            session = self._rtcp.get(ssrc)
            if session is None:
                if not self._take_trials(1, RESERVE):
                    return None
                session = SrtpSession(self._cipher, self._key, ssrc)
            status, clear = session.call("srtp_unprotect_rtcp", data)
            if status:
                return None
            self._keep(self._rtcp, ssrc, session)
            return clear

    def _keep(self, sessions: OrderedDict[int, SrtpSession], ssrc: int, session: SrtpSession) -> None:
        sessions[ssrc] = session
        while len(sessions) > MAX_STREAMS:
            gone, _ = sessions.popitem(last=False)
            self._authentic_at.pop(gone, None)
            self._repeats.pop(gone, None)
