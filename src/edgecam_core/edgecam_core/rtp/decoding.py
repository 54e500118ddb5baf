"""One running decoder: whole access units in, bgr8 frames with their capture time out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgecam_core.errors import PipelineError
from edgecam_core.media import colour, gst, nal
from edgecam_core.media.decoders import Decoder, pipeline_text
from edgecam_core.rtp.clock import CLOCK_RATE, SECOND, signed_difference

Allocate = Callable[[int, int], np.ndarray]
_MARGIN_NS = 3600 * SECOND
_MOST_PENDING = 256
_MOST_UNANSWERED = 8  # decoders hold back a few frames at most
_STUCK_NS = 2 * SECOND


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame, (H, W, 3) uint8 bgr8; ``arrived_ns`` is the monotonic time its last packet came."""

    bgr: np.ndarray
    stamp_ns: int
    arrived_ns: int


class TimeLine:
    """RTP timestamps as presentation times for the decoder: increasing across wraps and new streams."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # RTP timestamp, nanoseconds
        self._highest = 0

    def pts(self, timestamp: int) -> int:
        if self._last is None:
            pts = self._highest + _MARGIN_NS
        else:
            pts = self._last[1] + signed_difference(timestamp, self._last[0]) * SECOND // CLOCK_RATE
        pts = max(pts, 0)
        self._last = (timestamp, pts)
        self._highest = max(self._highest, pts)
        return pts

    def restart(self) -> None:
        """The next timestamp belongs to another stream."""
        self._last = None


class DecoderPipeline:
    """Decodes one stream. ``push`` and ``pull`` may be called from one thread each.

    Raises:
        PipelineError: the decoder does not start.
    """

    def __init__(self, row: Decoder) -> None:
        self._pipeline = gst.Pipeline(pipeline_text(row))
        self._pending: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.decoded = 0  # frames so far
        self._unanswered = 0
        self._unanswered_since_ns = 0
        # Counted where frames leave the decoder: a reader that does not read is no fault of the decoder.
        self._pipeline.on_buffer("sink", "sink", self._decoded)
        self._pipeline.start()

    def _decoded(self, _buffer: object) -> bool:
        self._unanswered = 0
        self.decoded += 1
        return True

    def push(self, nals: list[bytes], pts: int, stamp_ns: int, now_ns: int) -> bool:
        """Decode one access unit; returns at once."""
        with self._lock:
            self._pending[pts] = (stamp_ns, now_ns)
            while len(self._pending) > _MOST_PENDING:
                self._pending.popitem(last=False)
            if not self._unanswered:
                self._unanswered_since_ns = now_ns
            self._unanswered += 1
        data = np.frombuffer(nal.join(nals), np.uint8)
        return self._pipeline.push(self._pipeline.new_buffer(data, pts))

    def pull(self, timeout: float, allocate: Allocate | None = None) -> DecodedFrame | None:
        """The next frame, waiting up to ``timeout`` seconds.

        ``allocate(width, height)`` gives the array to decode into, (height, width, 3) uint8 contiguous; without it
        every frame gets its own.
        """
        sample = self._pipeline.pull(timeout)
        if sample is None:
            return None
        with sample:
            with self._lock:
                entry = self._pending.pop(sample.pts_ns, None)
            if entry is None:
                return None  # two units with one time: the other one's stamp would be wrong
            width, height = sample.width, sample.height
            bgr = np.empty((height, width, 3), np.uint8) if allocate is None else allocate(width, height)
            raw = colour.RawVideo(
                width, height, sample.format, sample.planes, sample.data, sample.matrix, sample.full_range
            )
            colour.convert(raw, "bgr8", bgr)
            return DecodedFrame(bgr, *entry)

    def waiting(self) -> int:
        """Access units that the decoder has not taken yet."""
        return int(self._pipeline.element("src").get_property("current-level-buffers"))

    def stuck(self, now_ns: int) -> bool:
        """Whether units go in and for too long nothing has come out."""
        return self._unanswered >= _MOST_UNANSWERED and now_ns - self._unanswered_since_ns > _STUCK_NS

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
