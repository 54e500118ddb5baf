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

"""Frames to RTP over UDP: encodes, sends, and handles the receivers' requests for packets or keyframes."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.media import encoders, i420
from edgecam_core.media.codecs import codec
from edgecam_core.media.encoding import EncodedUnit
from edgecam_core.rtp import clock, sdp
from edgecam_core.rtp.adaptation import Adaptation
from edgecam_core.rtp.encoder_supervisor import EncoderSupervisor
from edgecam_core.rtp.overshoot import Overshoot
from edgecam_core.rtp.rate_control import should_change
from edgecam_core.rtp.rtsp import RtspServer
from edgecam_core.rtp.sender_stats import SenderStats
from edgecam_core.rtp.settings import SenderSettings
from edgecam_core.rtp.transmitter import Transmitter
from edgecam_core.tracer import TRACER
from edgecam_core.types import Frame

SMALLEST = 16  # pixels; no supported encoder accepts a smaller frame
PACE, PACE_FREE = 2.0, 4.0  # pacing rate as a multiple of the target; the second while the link carries the full rate
ENCODED_SHARE = 0.9  # of the target; the rest is for packet headers and retransmissions
MAX_WAITING = 4  # frames in the encoder and the pacer
ADAPTIVE_BUFFER_MS = 105  # a keyframe must not fill the queue of a slow link


class Sender:
    """Sends one stream. Call :meth:`start`, then :meth:`send` for every frame, then :meth:`stop`.

    The constructor selects the encoder and resolves the addresses, which blocks until DNS responds. ``on_failure`` is
    called from a sender thread when the sender has failed, e.g. because the encoder did. ``on_coded``, if set, is
    called from a sender thread with the NAL units, capture time (nanoseconds) and frame id of every access unit.

    Raises:
        SettingError: an address does not resolve, or the encoder is unknown.
        MissingDependency: the encoder is not installed.
    """

    def __init__(self, settings: SenderSettings, on_failure: Callable[[EdgecamError], None] | None = None) -> None:
        self.on_coded: Callable[[list[bytes], int, str], None] | None = None
        self._settings = settings
        self._codec = codec(settings.codec)
        self._on_failure = on_failure or (lambda error: None)
        self._failure: EdgecamError | None = None
        self._row = encoders.choose(settings.encoder, settings.codec)
        self._counters = Counters()
        self._stopping = threading.Event()
        self._adaptation = Adaptation(settings.bitrate_min, settings.bitrate) if settings.bitrate_min else None
        self._changed_at = 0.0
        self._overshoot = Overshoot()
        self._transmitter = Transmitter(settings, self.force_keyframe, self._counters, self._adaptation, self._stopping)
        self._rtsp: RtspServer | None = None
        self._lock = threading.Lock()  # protects the counts
        request = encoders.EncoderRequest(settings.bitrate, settings.keyframe_interval, settings.encoder_options)
        if settings.bitrate_min:
            request = replace(request, buffer_ms=ADAPTIVE_BUFFER_MS)
        self._encoder = EncoderSupervisor(self._row, request, settings.framerate, self._counters)
        self._threads: list[threading.Thread] = []
        self._stats = SenderStats(encoder=self._row.element)
        self._delay = Meter(window=5.0)
        self._frame_id = settings.frame_id
        self._sets: list[bytes] = []
        self._entered: dict[int, float] = {}
        self._unanswered_since = 0.0

    def start(self) -> None:
        """Open the sockets and write the SDP file.

        Raises:
            SettingError: the SDP file cannot be written, or the RTSP port is in use.
            MissingDependency: the RTSP server's library is not installed.
        """
        settings = self._settings
        self._write_sdp()
        if settings.rtsp_port:
            self._rtsp = RtspServer(self._codec, settings.rtsp_port, settings.rtsp_path, self.force_keyframe)
        loops: list[tuple[str, Callable[[], None]]] = [("rtp-send", self._deliver)]
        for source in self._transmitter.open():
            loops.append(("rtp-feedback", partial(self._transmitter.listen, source, self._stopping)))
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=name, daemon=True) for name, loop in loops
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, loop: Callable[[], None]) -> None:
        """Run a thread's loop; an exception that ends it is reported to the owner."""
        try:
            loop()
        except Exception as error:
            if not self._stopping.is_set():
                self._failure = EdgecamError.of(error)
                self._on_failure(self._failure)

    def send(self, frame: Frame) -> None:
        """Encode and send one frame of any encoding; returns after the colour conversion.

        If the encoder is too slow, the older queued frame is dropped. A new size starts a new encoder, with a
        keyframe. Odd sizes lose their last column or row.

        Raises:
            ImageError: the frame is too small, its encoding unknown, or the encoder refuses its size.
            PipelineError: the encoder does not start.
            EdgecamError: the sender has failed.
        """
        if min(frame.width, frame.height) < SMALLEST:
            raise ImageError(f"a {frame.width}x{frame.height} frame is too small; the minimum is {SMALLEST}x{SMALLEST}")
        planes, width, height = i420.from_frame(frame)
        self.send_planes(planes, width, height, frame.stamp_ns, frame.frame_id)

    def send_planes(self, planes: np.ndarray, width: int, height: int, stamp_ns: int, frame_id: str) -> None:
        """Like :meth:`send`, for an I420 frame of even size: flat uint8 as in ``i420.layout``."""
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._stats.frames_in += 1
            self._unanswered_since = self._unanswered_since or time.monotonic()
            self._frame_id = self._settings.frame_id or frame_id
            if self._should_skip():
                self._stats.frames_withheld += 1
                return
            self._entered[stamp_ns] = time.monotonic()
            while len(self._entered) > 16:
                del self._entered[next(iter(self._entered))]
        try:
            TRACER.reached("sender.converted", stamp_ns)
            self._encoder.push(planes, (width, height), stamp_ns)
        except ImageError:
            self._unanswered_since = 0.0
            raise

    def set_bitrate(self, bitrate: int) -> None:
        """Change the target (the maximum, if the sender adapts) in bit/s; some encoders restart with a keyframe."""
        with self._lock:
            self._settings = self._settings.changed(bitrate=bitrate)
            if self._adaptation is not None:
                self._adaptation.limit(self._settings.bitrate_min, bitrate)
            else:
                self._encoder.set_bitrate(bitrate)

    def _adapt(self) -> None:
        """Set the pacing rate and the bitrate by the receivers' reports."""
        if self._adaptation is None:
            return
        now = time.monotonic()
        target = self._adaptation.target(now)
        most = self._settings.bitrate
        self._transmitter.pace(target * (PACE_FREE if target >= most else PACE))
        media = target / (1 + self._settings.redundancy / 100) * ENCODED_SHARE
        bitrate = int(media / self._overshoot.factor(now))
        is_free = self._encoder.can_change_bitrate or self._encoder.is_keyframe_due
        if should_change(self._encoder.bitrate, bitrate, now - self._changed_at, is_free):
            self._changed_at = now
            self._encoder.set_bitrate(bitrate)

    def _should_skip(self) -> bool:
        """Whether to skip a frame because the pacer or the network's queue must drain first."""
        if self._adaptation is None:
            return False
        return self._adaptation.is_paused(time.monotonic()) or self._encoder.waiting >= MAX_WAITING

    def force_keyframe(self) -> bool:
        """Make the next frame a keyframe; False if there is no encoder yet."""
        return self._encoder.force_keyframe()

    def _deliver(self) -> None:
        while not self._stopping.is_set():
            self._adapt()
            coded = self._encoder.pull(0.1)
            if coded is not None:
                self._send_access_unit(coded)
            self._transmitter.report()

    def _send_access_unit(self, coded: EncodedUnit) -> None:
        TRACER.reached("sender.encoded", coded.stamp_ns)
        now = time.monotonic()
        self._overshoot.add(sum(map(len, coded.nals)), self._encoder.bitrate, now)
        if self._rtsp is not None:
            self._rtsp.push(coded.nals, coded.keyframe)
        if self.on_coded is not None:
            self.on_coded(coded.nals, coded.stamp_ns, self._frame_id)
        self._transmitter.send(coded.nals, coded.stamp_ns)
        TRACER.reached("sender.sent", coded.stamp_ns)
        with self._lock:
            self._stats.frames_sent += 1
            self._unanswered_since = 0.0
            self._stats.frames_skipped += coded.skipped
            self._stats.keyframes += coded.keyframe
            if entered := self._entered.pop(coded.stamp_ns, None):
                self._delay.add(now, now - entered)
        if coded.keyframe:
            sets = [unit for unit in coded.nals if self._codec.kind(unit) in self._codec.parameter_sets]
            if sets != self._sets:
                self._sets = sets
                with contextlib.suppress(EdgecamError):  # start() has written it; a full disk must not end the stream
                    self._write_sdp()

    def _write_sdp(self) -> None:
        settings = self._settings
        if not settings.sdp_file:
            return
        description = sdp.SessionDescription(
            address=self._transmitter.first_address,
            port=settings.port,
            payload_type=settings.payload_type,
            codec=settings.codec,
            parameters=self._codec.sprop_values(self._sets),
            extensions={clock.NTP_URI: clock.NTP_ID},
            frame_id=self._frame_id,
            bitrate=settings.bitrate,
            encrypted=bool(settings.srtp_key),
        )
        sdp.write_file(settings.sdp_file, description, os.getpid(), settings.ttl)

    def stats(self) -> SenderStats:
        """A copy of the counts; rates over the last seconds."""
        now = time.monotonic()
        with self._lock:
            stats = SenderStats(**vars(self._stats))
            stats.stalled = now - self._unanswered_since if self._unanswered_since else 0.0
        self._transmitter.add_to(stats)
        stats.target_bitrate = self._settings.bitrate
        if self._adaptation is not None:
            stats.target_bitrate = self._adaptation.target(now)
            stats.estimated_bitrate, queuing = self._adaptation.estimate(now)
            stats.queuing_ms = queuing * 1000
        stats.fps = self._delay.rate(now)
        stats.encode_ms = self._delay.percentile(now, 50) * 1000
        stats.rtsp_clients = self._rtsp.clients if self._rtsp is not None else 0
        stats.errors = self._counters.totals()
        return stats

    def stop(self) -> None:
        """Send RTCP BYE, stop the threads and close the sockets; safe to call twice. Blocks for up to a second."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5.0)
        self._encoder.stop()
        if self._rtsp is not None:
            self._rtsp.stop()
        self._transmitter.close()
