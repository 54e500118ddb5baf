"""What a receiver says to the sender by RTCP: missing packets (NACK), keyframe wanted (PLI), that it is there (RR)."""

from __future__ import annotations

import secrets

from edgecam_core.rtp import rtcp
from edgecam_core.rtp.reorder import MILLISECOND
from edgecam_core.rtp.rtp_session import Stream

REQUEST_PAUSE_NS = 150 * MILLISECOND
REPORT_NS = 1000 * MILLISECOND


class ReceiverFeedback:
    """Decides when to say what. No sockets and no clock inside: times are arguments, in monotonic nanoseconds."""

    def __init__(self) -> None:
        self.ssrc = secrets.randbits(32)
        self.requests = 0
        self._keyframe_asked_ns = 0
        self._sent_ns = 0

    def compound(self, stream: Stream, wants_keyframe: bool, now_ns: int) -> bytes | None:
        """The compound packet to send to the stream's sender now; None: nothing to say yet."""
        messages = []
        if wanted := stream.buffer.ask(now_ns):
            messages.append(rtcp.nack(self.ssrc, stream.ssrc, wanted))
        if wants_keyframe and now_ns - self._keyframe_asked_ns >= REQUEST_PAUSE_NS:
            self._keyframe_asked_ns = now_ns
            messages.append(rtcp.picture_loss_indication(self.ssrc, stream.ssrc))
        if not messages and now_ns - self._sent_ns < REPORT_NS:
            return None
        self._sent_ns = now_ns
        self.requests += bool(messages)
        head = rtcp.receiver_report(self.ssrc) + rtcp.source_description(self.ssrc, "edgecam-receiver")
        return head + b"".join(messages)
