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

"""Selects the frames of a camera to show and pairs them with detections by exact stamp. Has no clock."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from edgecam_core.types import Frame

from edgecam_viewer.wire import Found

PATIENCE = 2.0  # seconds without a match before frames are shown without waiting for their boxes
HELD_BYTES = 64 * 2**20
HELD_RESULTS = 64


@dataclass(frozen=True, slots=True)
class AnnotatedFrame:
    """A frame to show; ``found`` is None if there are no detections for it."""

    frame: Frame
    found: Found | None


class FramePacer:
    """Passes at most ``rate`` events per second, evenly spaced; tolerates jitter of a quarter of a period."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._due = float("-inf")

    def allows(self, now: float) -> bool:
        """Whether an event at ``now`` (monotonic seconds) may pass; if so, it counts."""
        period = 1.0 / self.rate
        if now < self._due - period / 4:
            return False
        # Keeps a fixed phase while events arrive; an event after a pause starts a new phase.
        self._due = (self._due if self._due > now - period else now) + period
        return True


class Feed:
    """Pairs the frames of one camera with their detections.

    A frame waits for the detections with its stamp (nanoseconds) while pairs are being found. If there was no pair for
    ``PATIENCE`` seconds (no detector, or it processes other frames), frames pass at once without boxes. Times are
    seconds of any monotonic clock. Not thread-safe.
    """

    def __init__(self, max_fps: float) -> None:
        self.pacer = FramePacer(max_fps)
        self.matched = 0
        self._matched_at = float("-inf")
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._results: OrderedDict[int, Found] = OrderedDict()
        self._bytes = 0

    def add_frame(self, frame: Frame, now: float) -> AnnotatedFrame | None:
        """Add a frame; returns the frame to show now, or None. Keeps ``frame`` for a while."""
        found = self._results.pop(frame.stamp_ns, None)
        if found is not None:
            return self._match(frame, found, now)
        self._hold(frame)
        if now - self._matched_at > PATIENCE:
            return self._paced(AnnotatedFrame(frame, None), now)
        return None

    def add_detections(self, stamp_ns: int, found: Found, now: float) -> AnnotatedFrame | None:
        """Add the detections for the frame with that stamp; returns the frame to show now, or None."""
        frame = self._frames.get(stamp_ns)
        if frame is not None:
            return self._match(frame, found, now)
        self._results[stamp_ns] = found
        while len(self._results) > HELD_RESULTS:
            self._results.popitem(last=False)
        return None

    def clear(self) -> None:
        """Drop everything held; called when the last viewer has left."""
        self._frames.clear()
        self._results.clear()
        self._bytes = 0
        self._matched_at = float("-inf")

    def _match(self, frame: Frame, found: Found, now: float) -> AnnotatedFrame | None:
        self.matched += 1
        self._matched_at = now
        self._drop_through(frame.stamp_ns)
        return self._paced(AnnotatedFrame(frame, found), now)

    def _paced(self, annotated: AnnotatedFrame, now: float) -> AnnotatedFrame | None:
        return annotated if self.pacer.allows(now) else None

    def _hold(self, frame: Frame) -> None:
        # A stamp that repeats (a stopped clock) replaces its frame.
        old = self._frames.pop(frame.stamp_ns, None)
        self._bytes += frame.data.nbytes - (old.data.nbytes if old else 0)
        self._frames[frame.stamp_ns] = frame
        while self._bytes > HELD_BYTES and len(self._frames) > 1:
            self._bytes -= self._frames.popitem(last=False)[1].data.nbytes

    def _drop_through(self, stamp_ns: int) -> None:
        """Drop this frame and all older ones, because the detector has passed them."""
        if stamp_ns not in self._frames:
            return
        while self._frames:
            stamp, frame = self._frames.popitem(last=False)
            self._bytes -= frame.data.nbytes
            if stamp == stamp_ns:
                return
