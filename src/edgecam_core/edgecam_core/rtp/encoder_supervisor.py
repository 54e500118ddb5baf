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

"""Encodes frames of any size: replaces the encoder without losing frames, and remembers the sizes it refuses."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, ImageError, PipelineError
from edgecam_core.media import i420
from edgecam_core.media.encoders import Encoder, EncoderRequest
from edgecam_core.media.encoding import EncodedUnit, EncoderPipeline

REFERENCE = (320, 240)  # a size that every encoder accepts
TRIAL_SECONDS = 5.0
DRAIN_SECONDS = 0.3
MAX_REFUSED = 64  # sizes to remember


class EncoderSupervisor:
    """Owns the encoder of one sender. Call ``push`` and ``pull`` from one thread each, the rest from any thread."""

    def __init__(self, row: Encoder, request: EncoderRequest, framerate: float, counters: Counters) -> None:
        self._row, self._request, self._framerate, self._counters = row, request, framerate, counters
        self._lock = threading.Lock()  # protects the replacement of the encoder
        self._encoder: EncoderPipeline | None = None
        self._draining: deque[EncoderPipeline] = deque()  # replaced encoders that still hold frames
        self._renew = False  # whether the next frame needs a new encoder
        self._answered = False  # whether the encoder has returned a frame
        self._stopped = False
        self.refused: dict[tuple[int, int], str] = {}  # refused sizes and the reason

    @property
    def can_change_bitrate(self) -> bool:
        """Whether the bitrate can change in place; otherwise a new encoder starts with a keyframe."""
        return self._row.live_bitrate is not None

    @property
    def is_keyframe_due(self) -> bool:
        """Whether the next frame or the one after it is a keyframe: a restart of the encoder costs nothing then."""
        encoder = self._encoder
        return encoder is not None and encoder.position >= self._request.keyframe_interval - 1

    @property
    def bitrate(self) -> int:
        return self._request.bitrate

    @property
    def waiting(self) -> int:
        """Frames pushed into the encoder that have not been pulled."""
        encoder = self._encoder
        return 0 if encoder is None else encoder.waiting

    def push(self, planes: np.ndarray, size: tuple[int, int], stamp_ns: int) -> None:
        """Encode one frame, flat I420; returns at once unless the size is new.

        Raises:
            ImageError: the encoder refuses frames of this size.
            PipelineError: the encoder does not start.
        """
        with self._lock:
            if reason := self.refused.get(size):
                raise ImageError(reason)
            if self._encoder is None or self._encoder.size != size or self._renew:
                self._begin(size)
            encoder = self._encoder
        if encoder is not None:
            encoder.push(planes, stamp_ns)

    def _begin(self, size: tuple[int, int]) -> None:
        try:
            self._exchange(size)
        except PipelineError as error:
            self._refuse(size, error)
            raise ImageError(self.refused[size]) from None

    def _exchange(self, size: tuple[int, int]) -> None:
        if self._stopped:
            return
        old, self._encoder = self._encoder, None
        if old is not None:
            self._draining.append(old)
        self._answered = self._renew = False
        self._encoder = self._make(size)

    def _make(self, size: tuple[int, int]) -> EncoderPipeline:
        return EncoderPipeline(self._row, self._request, *size, self._framerate)

    def _refuse(self, size: tuple[int, int], error: EdgecamError) -> None:
        """Remember a size that the encoder refuses.

        Raises:
            EdgecamError: ``error``, if the encoder accepts no frame of any size.
        """
        if not self._works():
            raise error
        if len(self.refused) > MAX_REFUSED:
            self.refused.clear()
        self.refused[size] = f"{size[0]}x{size[1]} frames are refused by {self._row.element}: {error}"

    def _works(self) -> bool:
        """Whether the encoder encodes a frame of a common size; blocks for ``TRIAL_SECONDS`` at most."""
        try:
            trial = self._make(REFERENCE)
        except EdgecamError:
            return False
        try:
            trial.push(np.full(i420.layout(*REFERENCE).size, 128, np.uint8), 0)
            return trial.pull(TRIAL_SECONDS) is not None
        except EdgecamError:
            return False
        finally:
            trial.stop()

    def pull(self, timeout: float) -> EncodedUnit | None:
        """The next access unit, waiting up to ``timeout`` seconds; None if none arrives.

        Raises:
            EdgecamError: the encoder has failed.
        """
        with self._lock:
            encoder = self._draining[0] if self._draining else self._encoder
            is_current = not self._draining
        if encoder is None:
            time.sleep(min(timeout, 0.02))
            return None
        try:
            if not is_current:
                return self._drain(encoder)
            coded = encoder.pull(timeout)
        except EdgecamError as error:
            with self._lock:
                if encoder is not self._encoder:  # it was replaced meanwhile
                    return None
                if self._answered or self._stopped:
                    raise
                self._encoder = None
                self._refuse(encoder.size, error)
                self._counters.add(self.refused[encoder.size])
            encoder.stop()
            return None
        self._answered |= coded is not None
        return coded

    def _drain(self, encoder: EncoderPipeline) -> EncodedUnit | None:
        """The next access unit of a replaced encoder; stops the encoder once it has none left."""
        try:
            coded = encoder.pull(DRAIN_SECONDS) if encoder.waiting else None
        except EdgecamError:
            coded = None
        if coded is None:
            with self._lock:
                if encoder in self._draining:
                    self._draining.remove(encoder)
            encoder.stop()
        return coded

    def set_bitrate(self, bitrate: int) -> None:
        """Change the target in bit/s; some encoders restart with a keyframe."""
        with self._lock:
            self._request = replace(self._request, bitrate=bitrate)
            if self._row.live_bitrate is None:
                self._renew = True
            elif self._encoder is not None:
                name, unit = self._row.live_bitrate
                self._encoder.set_bitrate(name, max(1, bitrate // unit))

    def force_keyframe(self) -> bool:
        """Make the next frame a keyframe; False if there is no encoder yet."""
        with self._lock:
            encoder = self._encoder
        if encoder is not None:
            encoder.force_keyframe()
        return encoder is not None

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            left = [*self._draining, *([self._encoder] if self._encoder is not None else [])]
            self._draining.clear()
            self._encoder = None
        for each in left:
            each.stop()
