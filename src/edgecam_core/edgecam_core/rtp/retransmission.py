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

"""Retransmits packets in response to generic NACKs, within a budget per receiver."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from edgecam_core.rtp.sockets import Address
from edgecam_core.rtp.token_bucket import TokenBucket

RESEND_PAUSE_SECONDS = 0.004
RESEND_SHARE = 0.5  # retransmissions per packet sent, at most
RESEND_BURST = 300.0
MESSAGES_PER_SECOND = 500.0  # feedback messages from one receiver; a busy receiver sends 200
REQUESTS_PER_SECOND = 5000.0  # sequence numbers from one receiver
MAX_RECEIVERS = 64


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
        """The packet, or None if it is too old or was never sent."""
        return self._packets.get(sequence)


class _RequestBudget:
    """The remaining budget of one receiver."""

    def __init__(self) -> None:
        self.messages = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_PER_SECOND)
        self.requests = TokenBucket(REQUESTS_PER_SECOND, REQUESTS_PER_SECOND)
        self.credit = RESEND_BURST / 4
        self.resent_at: dict[int, float] = {}


class Retransmitter:
    """Decides which packets are retransmitted. Thread-safe. Times are monotonic seconds.

    Each receiver has its own budget of feedback messages, requested packets, and retransmissions (``RESEND_SHARE`` of
    the stream), so that a flood from one receiver does not affect the others. ``refused`` counts messages and packets
    over the budget.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history = History()
        self._receivers: OrderedDict[Address, _RequestBudget] = OrderedDict()
        self.resent = 0
        self.refused = 0

    def sent(self, sequence: int, data: bytes) -> None:
        """A packet was sent for the first time."""
        with self._lock:
            self._history.add(sequence, data)
            for receiver in self._receivers.values():
                receiver.credit = min(receiver.credit + RESEND_SHARE, RESEND_BURST)

    def _receiver(self, address: Address) -> _RequestBudget:
        receiver = self._receivers.pop(address, None) or _RequestBudget()
        self._receivers[address] = receiver
        while len(self._receivers) > MAX_RECEIVERS:
            self._receivers.popitem(last=False)
        return receiver

    def accepts_feedback(self, sender: Address, now: float) -> bool:
        """Whether another feedback message of this sender is within its budget."""
        with self._lock:
            allowed = self._receiver(sender).messages.take(1, now)
            self.refused += not allowed
            return allowed

    def take(
        self, sequences: Sequence[int], address: Address, now: float, pause: float = RESEND_PAUSE_SECONDS
    ) -> list[tuple[int, bytes]]:
        """The sequence numbers and packets to retransmit to this receiver now.

        Leaves out packets that are too old, over the budget, or already retransmitted in the last ``pause`` seconds.
        """
        with self._lock:
            receiver = self._receiver(address)
            if not receiver.requests.take(len(sequences), now):
                self.refused += len(sequences)
                return []
            found: list[tuple[int, bytes]] = []
            for sequence in sequences:
                data = self._history.get(sequence)
                too_soon = now - receiver.resent_at.get(sequence, 0.0) < pause
                if data is None or too_soon:
                    continue
                if receiver.credit < 1.0:
                    self.refused += 1
                    continue
                receiver.credit -= 1.0
                receiver.resent_at[sequence] = now
                found.append((sequence, data))
            if len(receiver.resent_at) > 4096:
                receiver.resent_at = {key: at for key, at in receiver.resent_at.items() if now - at < 1.0}
            self.resent += len(found)
            return found
