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

"""One running encoder: frames in, access units with their capture time out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from edgecam_core.errors import PipelineError
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import codec
from edgecam_core.media.encoders import Encoder, EncoderRequest, pipeline_text


class EncodedUnit(NamedTuple):
    """One access unit: its NAL units, and the capture time of its frame in nanoseconds."""

    nals: list[bytes]
    stamp_ns: int
    skipped: int  # frames before this one that the encoder was too slow for
    keyframe: bool


class EncoderPipeline:
    """Encodes I420 frames of one size. ``push`` and ``pull`` may be called from one thread each.

    Raises:
        PipelineError: the encoder refuses its settings or the size.
    """

    def __init__(self, row: Encoder, request: EncoderRequest, width: int, height: int, framerate: float) -> None:
        self.size = (width, height)
        self._codec = codec(row.codec)
        self._since_keyframe = 0
        self._pipeline = gst.Pipeline(pipeline_text(row, request, width, height, framerate))
        self._interval_ns = round(1e9 / framerate)
        self._next_pts = 0
        self._stamps: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()
        self._pipeline.start()

    def push(self, planes: np.ndarray, stamp_ns: int) -> bool:
        """Push one frame, flat I420; returns at once. Replaces the oldest queued frame if the queue is full."""
        # Separate presentation times: capture times may jump, but the encoder's input must not.
        pts, self._next_pts = self._next_pts, self._next_pts + self._interval_ns
        with self._lock:
            self._stamps[pts] = stamp_ns
        return self._pipeline.push(self._pipeline.new_buffer(planes, pts, self._interval_ns))

    def pull(self, timeout: float) -> EncodedUnit | None:
        """The next access unit, waiting up to ``timeout`` seconds; None if none arrives.

        Raises:
            PipelineError: the encoder has failed.
        """
        sample = self._pipeline.pull(timeout)
        if sample is None:
            self._check()
            return None
        with sample:
            stream = sample.data.tobytes()
            pts = sample.pts_ns
        stamp_ns, skipped = self._stamp(pts)
        nals = nal.split(stream)
        keyframe = any(self._codec.is_keyframe(self._codec.kind(one)) for one in nals)
        self._since_keyframe = 1 if keyframe else self._since_keyframe + 1
        return EncodedUnit(nals, stamp_ns, skipped, keyframe)

    @property
    def waiting(self) -> int:
        """Frames pushed that have not been pulled."""
        return len(self._stamps)

    @property
    def position(self) -> int:
        """The number of the next frame, counted from the last keyframe, if the encoder skips none."""
        return self._since_keyframe + self.waiting

    def _stamp(self, pts: int) -> tuple[int, int]:
        with self._lock:
            older = [key for key in self._stamps if key < pts - self._interval_ns // 2]
            for key in older:
                del self._stamps[key]
            if not self._stamps:
                raise PipelineError("the encoder returned a frame it never received")
            return self._stamps.popitem(last=False)[1], len(older)

    def _check(self) -> None:
        for message in self._pipeline.messages():
            if message.kind == "error":
                raise PipelineError(f"the encoder failed: {message.text}")

    def force_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self._pipeline.force_keyframe("sink")

    def set_bitrate(self, name: str, value: int) -> None:
        """Set the encoder's property ``name``, as in ``Encoder.live_bitrate``."""
        self._pipeline.element("encoder").set_property(name, value)

    def stop(self) -> None:
        self._pipeline.stop()
