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

"""Keeps a decoder running: replaces it when it fails or stalls, and sheds load when it is too slow."""

from __future__ import annotations

import time

from edgecam_core.counters import Counters
from edgecam_core.errors import PipelineError
from edgecam_core.media.decoders import Decoder
from edgecam_core.media.h264 import IDR
from edgecam_core.rtp.decoding import Allocate, DecodedFrame, DecoderPipeline, Ticket

MAX_WAITING = 30  # access units queued for the decoder: above this the decoder is too slow
FEW_WAITING = 3


class DecoderSupervisor:
    """Owns the decoder of one receiver. Call ``pull`` from the reading thread, the rest from the receiving thread.

    Raises:
        PipelineError: the decoder does not start.
    """

    def __init__(self, row: Decoder, counters: Counters) -> None:
        self._row = row
        self._counters = counters
        self._pipeline = DecoderPipeline(row)
        self._decoded = 0
        self.restarts = 0
        self.behind = False

    def fell_behind(self) -> bool:
        """Whether the decoder must catch up: from ``MAX_WAITING`` queued units down to ``FEW_WAITING``."""
        self.behind = self.waiting() > (FEW_WAITING if self.behind else MAX_WAITING)
        return self.behind

    def waiting(self) -> int:
        """Number of access units queued for the decoder."""
        return self._pipeline.waiting()

    def push(self, nals: list[bytes], ticket: Ticket) -> None:
        """Decode one access unit; returns at once."""
        self._pipeline.push(nals, ticket)

    def begin(self, nals: list[bytes], ticket: Ticket) -> None:
        """Prepare for the first access unit after a gap. Call before pushing it."""
        # At a recovery point libavcodec allocates frames for the gap in frame_num, which GStreamer allows only once
        # per access unit. The unit is therefore pushed twice: the first copy fails and closes the gap for the second.
        if self._row.element == "avdec_h264" and not any(nal[0] & 0x1F == IDR for nal in nals):
            place = ticket.place._replace(pts=ticket.place.pts - 1)
            self._pipeline.push(nals, ticket._replace(place=place, shown=False))

    def pull(self, timeout: float, allocate: Allocate | None) -> DecodedFrame | None:
        """The next frame; None if none arrives within ``timeout`` seconds."""
        return self._pipeline.pull(timeout, allocate)

    def progressed(self) -> bool:
        """Whether frames were decoded since the last call."""
        before, self._decoded = self._decoded, self._pipeline.decoded
        return self._decoded != before

    def restarted(self) -> bool:
        """Check the decoder and replace it if needed; True if it was replaced, so that it needs a keyframe.

        Raises:
            PipelineError: a new decoder does not start.
        """
        try:
            for text in self._pipeline.check():
                self._counters.add(text)
            if self._pipeline.unplaced:
                self._counters.add("RTP time stepped back between keyframes: decoder replaced")
            elif self._pipeline.stuck(time.monotonic_ns()):
                self._counters.add("decoder stalled: replaced")
            else:
                return False
        except PipelineError as error:
            self._counters.add(str(error))
        old, self._pipeline = self._pipeline, DecoderPipeline(self._row)
        self.restarts += 1
        old.stop()
        return True

    def stop(self) -> None:
        self._pipeline.stop()
