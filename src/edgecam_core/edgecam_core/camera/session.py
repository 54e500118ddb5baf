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

"""One run of a capture pipeline: from opening the source to its end or loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgecam_core.camera.decoder_gate import DecoderGate
from edgecam_core.camera.folder import FolderFeeder
from edgecam_core.camera.pace import Arrivals
from edgecam_core.camera.plan import UPRIGHT, Feeder, SourcePlan
from edgecam_core.camera.platform import VIDEO_DIRECTIONS
from edgecam_core.camera.remedies import with_remedy
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.stamps import SenderLine
from edgecam_core.counters import Counters
from edgecam_core.errors import PipelineError, SourceError
from edgecam_core.media import gst, refusals

_POLL = 0.1
_FIRST_FRAME = 10.0
"""Seconds that a source may take to deliver its first frame, if stall_timeout is shorter."""
_ERROR_GRACE = 0.5
"""Decoders report errors and continue; an error is fatal if no frame follows within this many seconds."""


class Ended(Exception):
    """The source reached its end."""


class Session:
    """Opens a source and passes on its frames until ``wake`` is set.

    ``take`` receives every frame; ``take_coded``, unless None, receives every access unit of a coded source. Both are
    called on the thread that calls :meth:`run`, while the sample is open. While ``has_consumers`` (called on
    GStreamer's threads) returns False, only keyframes of a coded source are decoded.

    Raises:
        PipelineError: the launch text does not parse.
    """

    def __init__(
        self,
        plan: SourcePlan,
        text: str,
        settings: Callable[[], CameraSettings],
        wake: threading.Event,
        take: Callable[[gst.MappedSample], None],
        counters: Counters,
        arrivals: Arrivals,
        has_consumers: Callable[[], bool],
    ) -> None:
        self.pipeline = gst.Pipeline(text)
        self.take_coded: Callable[[gst.MappedSample], None] | None = None
        self.feeder: Feeder | None = None
        self.gate = DecoderGate(has_consumers) if plan.has_coded else None
        self._line = SenderLine() if plan.remote else None
        self._plan = plan
        self._settings = settings
        self._wake = wake
        self._take = take
        self._counters = counters
        self._arrivals = arrivals
        self._frames = 0  # since the start or the last round
        self._pts = 0
        self._restart: threading.Thread | None = None
        self._repeats = True
        self._orientation: str | None = None
        self._error, self._error_at = "", 0.0

    def run(self) -> None:
        """Run until ``wake`` is set. Blocks while the source delivers frames.

        Raises:
            SourceError: the source is lost or cannot be opened.
            Ended: the source reached its end.
        """
        hint = self._plan.hint
        feeder: Feeder | None = None
        try:
            if self._line:
                self.pipeline.on_running_time("tap" if self.gate else "sink", self._line.arrived)
            if self.gate:
                self.gate.attach(self.pipeline)
            if self._plan.loops and self._settings().loop:
                self._start_looping()
            self.pipeline.start(timeout=0.0)
            if self._plan.folder:
                feeder = FolderFeeder(self.pipeline, Path(self._plan.folder), self._settings(), self._counters)
            if self._plan.feeder:
                feeder = self._plan.feeder(self.pipeline, self._settings(), self._counters)
            self.feeder = feeder
            self._pump(feeder)
        except (PipelineError, SourceError) as error:
            raise SourceError(f"{error} ({hint})" if hint else str(error)) from error
        finally:
            self.feeder = None
            while self._restart and self._restart.is_alive():
                if sample := self.pipeline.pull(_POLL):
                    sample.close()
            self.pipeline.stop()
            self._arrivals.restarted()
            if feeder:
                feeder.stop()

    def orientation(self) -> str:
        """The flip_method that the source's orientation tag requests; known from the first frame on."""
        if self._orientation is None:
            tagged = self.pipeline.orientation(UPRIGHT) if UPRIGHT in self.pipeline.text else "identity"
            self._orientation = next(flip for flip, name in VIDEO_DIRECTIONS.items() if name == tagged)
        return self._orientation

    def _start_looping(self) -> None:
        """Play as a segment that can be repeated without a gap, if the container can seek."""
        end = time.monotonic() + _FIRST_FRAME
        while not self.pipeline.preroll(_POLL):
            if self._wake.is_set() or time.monotonic() > end:
                return
        self.pipeline.seek_to_start(flush=True, segment=True)

    def _play_again(self) -> None:
        """Seek, in a separate thread: the seek waits for the demuxer, which may wait until frames are taken."""
        self._repeats = self.pipeline.seek_to_start(flush=False, segment=True)

    def _pump(self, feeder: Feeder | None) -> None:
        last, skipped = time.monotonic(), 0
        while not self._wake.is_set():
            sample = self.pipeline.pull(_POLL)
            now = time.monotonic()
            if sample is not None:
                last, self._error = now, ""
                self._deliver(sample)
            elif self.gate and self.gate.skipped != skipped:  # frames arrive, but none is needed
                last, skipped = now, self.gate.skipped
            if self.take_coded:
                self._drain(self.take_coded)
            for message in self.pipeline.messages():
                self._on_message(message, now)
            if sample is None:
                self._check(now, now - last, feeder)

    def _deliver(self, sample: gst.MappedSample) -> None:
        if self._line:
            sample.pts_ns = min(self._line.captured(sample.pts_ns), self.pipeline.running_time_ns())
        # Where a loop restarts, the last and the first frame have the same time; one of them is dropped. The first
        # frames of a network camera may come in a burst: then the first has too late a time, later than the next ones.
        steady = self._plan.paced or self._line is not None
        repeated = steady and self._frames and sample.pts_ns <= self._pts
        self._frames += 1
        self._pts = max(self._pts, sample.pts_ns) if self._line else sample.pts_ns
        self._arrivals.update(*self.pipeline.arrivals())
        with sample:
            if not repeated:
                self._take(sample)

    def _drain(self, take_coded: Callable[[gst.MappedSample], None]) -> None:
        while (coded := self.pipeline.pull(0, "coded")) is not None:
            with coded:
                take_coded(coded)

    def _on_message(self, message: gst.BusMessage, now: float) -> None:
        if message.kind == "error" and not self._error:
            self._error, self._error_at = self.pipeline.unnamed_format(message) or with_remedy(message), now
        elif message.kind == "segment-done":
            self._restart = threading.Thread(target=self._play_again, name="camera-loop", daemon=True)
            self._restart.start()
        elif message.kind == "eos":
            self._at_end()
            self._frames = 0
            self.pipeline.seek_to_start()

    def _at_end(self) -> None:
        """Handle the end of the stream; returns if the file is to be played again.

        Raises:
            SourceError: the stream ended because of an error, without a frame, or unexpectedly.
            Ended: the source reached its end.
        """
        if self._error:
            raise SourceError(self._error)
        if not self._plan.ends:
            raise SourceError("the stream ended")
        if not self._frames:
            raise SourceError("it contains no frames")
        if not self._settings().loop:
            raise Ended

    def _check(self, now: float, silence: float, feeder: Feeder | None) -> None:
        """Raise SourceError if a source that delivers no frames is lost."""
        if feeder and feeder.error:
            raise feeder.error
        if not self._repeats:
            raise SourceError("the file cannot be played from its start again")
        if self._error and (not self._frames or now - self._error_at > _ERROR_GRACE):
            raise SourceError(self._error)
        allowed = self._settings().stall_timeout
        if allowed and not self._frames:
            allowed = max(allowed, _FIRST_FRAME)
        if allowed and silence > allowed:
            # A decoder without an output format sometimes posts no error; a file has no other reason to be silent.
            unnamed = self._plan.paced and not self._frames and refusals.unnamed_format(self.pipeline.gst_pipeline)
            raise SourceError(unnamed or f"no {'frame' if self._frames else 'first frame'} for {allowed:g} s")
