"""The sender's answer to generic NACKs: the same packet once more, within a budget."""

from __future__ import annotations

import threading
from collections import OrderedDict

from edgecam_core.rtp.sockets import Address

RESEND_PAUSE_SECONDS = 0.004
RESEND_SHARE = 0.5  # of the packets sent, at most this share once more
RESEND_BURST = 300.0


class History:
    """The newest packets of a stream by sequence number. Not thread safe."""

    def __init__(self, capacity: int = 2048) -> None:
        self._capacity = capacity
        self._packets: OrderedDict[int, bytes] = OrderedDict()

    def add(self, sequence: int, data: bytes) -> None:
        self._packets.pop(sequence, None)
        self._packets[sequence] = data
        while len(self._packets) > self._capacity:
            self._packets.popitem(last=False)

    def get(self, sequence: int) -> bytes | None:
        """The packet, or None when it is too old or was never sent."""
        return self._packets.get(sequence)


class Retransmitter:
    """Decides which packets are sent once more. Safe to use from several threads. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history = History()
        self._credit = 0.0
        self._resent_at: dict[tuple[int, Address], float] = {}
        self.resent = 0

    def sent(self, sequence: int, data: bytes) -> None:
        """A packet was sent for the first time."""
        with self._lock:
            self._history.add(sequence, data)
            self._credit = min(self._credit + RESEND_SHARE, RESEND_BURST)

    def take(self, sequence: int, receiver: Address, now: float) -> bytes | None:
        """The packet to send again to this receiver now, None when it is unknown, too frequent or over the budget."""
        with self._lock:
            data = self._history.get(sequence)
            too_soon = now - self._resent_at.get((sequence, receiver), 0.0) < RESEND_PAUSE_SECONDS
            if data is None or too_soon or self._credit < 1.0:
                return None
            self._credit -= 1.0
            self._resent_at[sequence, receiver] = now
            if len(self._resent_at) > 4096:
                self._resent_at = {key: at for key, at in self._resent_at.items() if now - at < 1.0}
            self.resent += 1
            return data
