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

"""One running decoder: complete access units in, bgr8 frames with their capture time out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgecam_core.errors import PipelineError
from edgecam_core.media import colour, gst, nal
from edgecam_core.media.decoders import Decoder, pipeline_text
from edgecam_core.rtp.clock import SECOND
from edgecam_core.rtp.stamps import Stamp
from edgecam_core.rtp.timeline import Place

Allocate = Callable[[int, int], np.ndarray]
NEWEST = 4  # frames kept for a late reader; the pipeline text contains the same number
_MAX_PENDING = 256
_MAX_UNANSWERED = 20  # decoders hold back 16 frames at most, to reorder them
_STUCK_NS = 2 * SECOND


class Ticket(NamedTuple):
    """The data that accompanies a frame through the decoder.

    ``arrived_ns`` is the monotonic arrival time of its last packet. ``shown`` is False for a frame that is only a
    reference for later frames.
    """

    place: Place
    stamp: Stamp
    arrived_ns: int
    shown: bool


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame, (H, W, 3) uint8 bgr8."""

    bgr: np.ndarray
    ticket: Ticket


class DecoderPipeline:
    """Decodes one stream. ``push`` and ``pull`` may be called from one thread each.

    Raises:
        PipelineError: the decoder does not start.
    """

    def __init__(self, row: Decoder) -> None:
        self._pipeline = gst.Pipeline(pipeline_text(row))
        self._pending: OrderedDict[int, Ticket] = OrderedDict()
        self.unplaced = 0  # decoded frames whose time matches no access unit
        self._lock = threading.Lock()
        self.decoded = 0  # frames so far
        self._highest_pts = self._lower = self._burst = 0
        self._unanswered = 0
        self._unanswered_since_ns = 0
        # Counted where frames leave the decoder: a reader that does not read must not look like a stalled decoder.
        self._pipeline.on_buffer("sink", "sink", self._decoded)
        self._pipeline.start()

    def _decoded(self, _buffer: object) -> bool:
        self._unanswered = 0
        self.decoded += 1
        return True

    def push(self, nals: list[bytes], ticket: Ticket) -> bool:
        """Decode one access unit; returns at once."""
        with self._lock:
            self._pending[ticket.place.pts] = ticket
            while len(self._pending) > _MAX_PENDING:
                self._pending.popitem(last=False)
            if not self._unanswered:
                self._unanswered_since_ns = ticket.arrived_ns
            self._unanswered += 1
        self._make_room(ticket.place.pts)
        data = np.frombuffer(nal.join(nals), np.uint8)
        return self._pipeline.push(self._pipeline.new_buffer(data, ticket.place.pts))

    def _make_room(self, pts: int) -> None:
        """Reordered frames leave the decoder in bursts: enlarge the sink's queue so that it drops none."""
        if pts > self._highest_pts:
            self._highest_pts, self._lower = pts, 0
            return
        self._lower += 1
        if self._lower > self._burst:
            self._burst = self._lower
            self._pipeline.element("sink").set_property("max-buffers", NEWEST + min(self._burst, _MAX_UNANSWERED))

    def pull(self, timeout: float, allocate: Allocate | None = None) -> DecodedFrame | None:
        """The next frame, waiting up to ``timeout`` seconds; None if none arrives.

        ``allocate(width, height)`` returns the array to decode into: (height, width, 3) uint8, contiguous. Without it
        each frame gets a new array.
        """
        sample = self._pipeline.pull(timeout)
        if sample is None:
            return None
        with sample:
            with self._lock:
                ticket = self._pending.pop(sample.pts_ns, None)
            if ticket is None:  # GStreamer changed its time, because it lay before that of an earlier output frame
                self.unplaced += 1
                return None
            if not ticket.shown:
                return None
            width, height = sample.width, sample.height
            bgr = np.empty((height, width, 3), np.uint8) if allocate is None else allocate(width, height)
            raw = colour.RawVideo(
                width, height, sample.format, sample.planes, sample.data, sample.matrix, sample.full_range
            )
            colour.convert(raw, "bgr8", bgr)
            return DecodedFrame(bgr, ticket)

    def waiting(self) -> int:
        """Number of access units queued for the decoder."""
        return int(self._pipeline.element("src").get_property("current-level-buffers"))

    def stuck(self, now_ns: int) -> bool:
        """Whether the decoder accepts access units but has returned no frame for too long."""
        return self._unanswered >= _MAX_UNANSWERED and now_ns - self._unanswered_since_ns > _STUCK_NS

    def check(self) -> list[str]:
        """Warnings since the last call.

        Raises:
            PipelineError: the decoder has failed.
        """
        messages = self._pipeline.messages()
        for message in messages:
            if message.kind == "error":
                raise PipelineError(f"the decoder failed: {message.text}")
        return [message.text for message in messages if message.kind == "warning"]

    def stop(self) -> None:
        self._pipeline.stop()
