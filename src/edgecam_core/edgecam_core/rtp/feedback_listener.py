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

"""Reads the RTCP feedback that arrives at a sender and handles each request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from edgecam_core.counters import Counters, Meter
from edgecam_core.rtp import rtcp
from edgecam_core.rtp.adaptation import Adaptation
from edgecam_core.rtp.destinations import Destinations
from edgecam_core.rtp.packet import PacketError
from edgecam_core.rtp.retransmission import RESEND_PAUSE_SECONDS, Retransmitter
from edgecam_core.rtp.sockets import Address
from edgecam_core.rtp.unprotector import Unprotector

KEYFRAME_REQUEST_SECONDS = 0.1


class FeedbackListener:
    """Handles the feedback on one stream: NACK (retransmission), PLI and FIR (keyframe), congestion reports.

    ``listen`` runs in one thread per socket and returns within 0.2 s once ``stopping`` is set.
    """

    def __init__(
        self,
        ssrc: int,
        destinations: Destinations,
        retransmitter: Retransmitter,
        unprotector: Unprotector | None,
        force_keyframe: Callable[[], object],
        counters: Counters,
        sent_bytes: Meter,
        adaptation: Adaptation | None,
    ) -> None:
        self._ssrc = ssrc
        self._destinations = destinations
        self._retransmitter = retransmitter
        self._unprotector = unprotector
        self._force_keyframe = force_keyframe
        self._counters = counters
        self._sent_bytes = sent_bytes
        self._adaptation = adaptation
        self._last_keyframe = 0.0
        self.keyframe_requests = 0

    def listen(self, source: socket.socket, stopping: threading.Event) -> None:
        source.settimeout(0.2)
        while not stopping.is_set():
            try:
                data, sender = source.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                if stopping.is_set():
                    return
                self._counters.add("error while reading feedback")
                continue
            self.datagram(data, source.family, (str(sender[0]), int(sender[1])))

    def datagram(self, data: bytes, family: int, sender: Address) -> None:
        if not self._retransmitter.accepts_feedback(sender, time.monotonic()):
            self._counters.add("feedback above the rate limit: ignored")
            return
        clear = data if self._unprotector is None else self._unprotector.rtcp(data)
        if clear is None:
            self._counters.add("SRTCP authentication failed")
            return
        try:
            messages = rtcp.parse(clear)
        except PacketError:
            self._counters.add("feedback that is not RTCP")
            return
        for message in messages:
            if isinstance(message, rtcp.Nack) and message.media_ssrc == self._ssrc:
                self._resend(message.sequences, family, sender)
            elif isinstance(message, rtcp.KeyframeRequest) and message.media_ssrc == self._ssrc:
                self._keyframe()
            elif self._adaptation is not None and self._destinations.reply_address(family, sender) is not None:
                if isinstance(message, rtcp.CongestionFeedback) and message.media_ssrc == self._ssrc:
                    self._adaptation.feedback(message, sender, time.monotonic())
                elif isinstance(message, rtcp.ReportBlock) and message.media_ssrc == self._ssrc:
                    self._adaptation.report(message, sender, time.monotonic())

    def _resend(self, sequences: tuple[int, ...], family: int, sender: Address) -> None:
        receiver = self._destinations.reply_address(family, sender)
        if receiver is None:
            self._counters.add("NACK from unknown address")
            return
        now, pause = time.monotonic(), RESEND_PAUSE_SECONDS
        if self._adaptation is not None:  # the last retransmission may still be in the network's queue
            pause = max(pause, self._adaptation.round_trip(now) / 2)
        for sequence, data in self._retransmitter.take(sequences, receiver, now, pause):
            if self._adaptation is not None and not self._adaptation.may_retransmit(sequence, len(data), now):
                self._counters.add("packets not retransmitted: the link is full")
                continue
            self._destinations.send(family, receiver, data)
            self._sent_bytes.add(now, len(data))

    def _keyframe(self) -> None:
        now = time.monotonic()
        self.keyframe_requests += 1
        pause = KEYFRAME_REQUEST_SECONDS
        if self._adaptation is not None:
            pause = max(pause, self._adaptation.round_trip(now))
        if now - self._last_keyframe >= pause:
            self._last_keyframe = now
            self._force_keyframe()
