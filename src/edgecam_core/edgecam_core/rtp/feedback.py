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

"""RTCP of a receiver: NACKs for missing packets, keyframe requests (PLI), link reports (RR, RFC 8888)."""

from __future__ import annotations

import random
import time

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.reorder import MILLISECOND
from edgecam_core.rtp.rtp_session import Stream

REQUEST_PAUSE_NS = 150 * MILLISECOND
REPORT_NS = 1000 * MILLISECOND
CONGESTION_NS = 50 * MILLISECOND


class ReceiverFeedback:
    """Decides what to send and when. Has no socket and no clock: times are arguments in monotonic nanoseconds."""

    def __init__(self) -> None:
        self.ssrc = random.SystemRandom().getrandbits(32)
        self.requests = 0
        self._epoch_ns = time.time_ns() - time.monotonic_ns()  # for a wall clock that never steps
        self._congestion_ns = 0
        self._before: tuple[int, int, int] = (0, 0, 0)  # SSRC, packets received and lost at the last report
        self._keyframe_requested_ns = 0
        self._sent_ns = 0

    def compound(self, stream: Stream, needs_keyframe: bool, now_ns: int) -> bytes | None:
        """The compound packet to send to the sender of the stream now; None if nothing is due."""
        messages = []
        if sequences := stream.buffer.due_requests(now_ns):
            messages.append(rtcp.nack(self.ssrc, stream.ssrc, sequences))
        if needs_keyframe and now_ns - self._keyframe_requested_ns >= REQUEST_PAUSE_NS:
            self._keyframe_requested_ns = now_ns
            messages.append(rtcp.picture_loss_indication(self.ssrc, stream.ssrc))
        self.requests += bool(messages)
        if now_ns - self._congestion_ns >= CONGESTION_NS and (arrivals := stream.arrivals.report(now_ns)):
            self._congestion_ns = now_ns
            clock = (self._epoch_ns + now_ns) / 1e9
            messages.append(rtcp.congestion_feedback(self.ssrc, stream.ssrc, *arrivals, clock))
        block = b""
        if now_ns - self._sent_ns >= REPORT_NS:
            self._sent_ns = now_ns
            block = self._report_block(stream)
        elif not messages:
            return None
        head = rtcp.receiver_report(self.ssrc, block) + rtcp.source_description(self.ssrc, "edgecam-receiver")
        return head + b"".join(messages)

    def _report_block(self, stream: Stream) -> bytes:
        counts = stream.buffer.counts
        ssrc, received, lost = self._before if self._before[0] == stream.ssrc else (stream.ssrc, 0, 0)
        self._before = (ssrc, counts.received, counts.lost)
        fresh = counts.received - received + counts.lost - lost
        share = (counts.lost - lost) / fresh if fresh > 0 else 0.0
        return rtcp.report_block(stream.ssrc, share, counts.lost, stream.buffer.highest, int(stream.jitter))
