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

"""The H.264 stream of one camera: encoded once, while there are viewers; all viewers receive the same packets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import EdgecamError
from edgecam_core.media import encoders, gst, i420
from edgecam_core.media.codecs import codec
from edgecam_core.media.encoding import EncodedUnit, EncoderPipeline
from edgecam_core.priority import lower_priority
from edgecam_core.rtp.packetiser import Packetiser
from edgecam_core.types import Frame
from edgecam_ros.faults import FaultLog

from edgecam_viewer.encoder import shrink
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.peer import PAYLOAD_TYPE, WebRtcPeer
from edgecam_viewer.settings import ViewerSettings

H264 = codec("h264")
MTU = 1200  # also fits through tunnels
SRTP_OVERHEAD = 14  # bytes that SRTP adds to a packet
KEYFRAME_INTERVAL = 300  # frames; viewers request a keyframe when they need one
KEYFRAME_PAUSE = 0.3  # seconds between two requested keyframes
ENCODE_TIMEOUT = 5.0  # seconds; an encoder of low priority on a busy machine takes a second
NOTES = 32  # notes about frames that may be queued for a viewer

Notify = Callable[[str, str], None]


class Broadcast:
    """Encodes submitted frames and sends them to the peers that have joined.

    Call ``join`` and ``leave`` from one thread; ``submit`` may be called from another. The thread and the encoder exist
    only while there are peers. Failures are counted in ``counters``, unexpected exceptions go to ``faults``; the next
    frame then starts a new encoder.
    """

    def __init__(self, camera: int, settings: ViewerSettings, counters: Counters, faults: FaultLog) -> None:
        self.meter = Meter()  # value: duration of one encoding in seconds
        self._encoder: EncoderPipeline | None = None
        self._camera = camera
        self._settings = settings
        self._counters = counters
        self._faults = faults
        self._packetiser = Packetiser(H264, PAYLOAD_TYPE, MTU, SRTP_OVERHEAD)
        self._viewers: dict[object, tuple[WebRtcPeer, Notify]] = {}
        self._wake = threading.Condition()
        self._waiting: AnnotatedFrame | None = None
        self._keyframe = False
        self._keyframe_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._sent = 0

    @property
    def encoding(self) -> bool:
        """Whether an encoder runs."""
        return self._encoder is not None

    @property
    def ssrc(self) -> int:
        return self._packetiser.ssrc

    def join(self, key: object, peer: WebRtcPeer, notify: Notify) -> None:
        """Send the packets to ``peer`` from now on, and call ``notify`` with a note (kind, JSON) about every frame."""
        self._viewers = {**self._viewers, key: (peer, notify)}
        if self._thread is None:
            self._waiting = None  # discard an old frame
            self._thread = threading.Thread(target=self._run, name="video encoder", daemon=True)
            self._thread.start()

    def leave(self, key: object) -> None:
        """Stop sending to a peer; the last one stops the encoder. Blocks while a frame is being encoded."""
        self._viewers = {other: one for other, one in self._viewers.items() if other != key}
        thread = self._thread
        if not self._viewers and thread is not None:
            with self._wake:
                self._waiting, self._thread = None, None
                self._wake.notify()
            thread.join()

    def submit(self, annotated: AnnotatedFrame) -> None:
        """Encode this frame next, unless a newer one arrives first. Thread-safe; never blocks."""
        with self._wake:
            if self._waiting is not None:
                self._counters.add("frame replaced before encoding")
            self._waiting = annotated
            self._wake.notify()

    def keyframe(self) -> None:
        """Request a keyframe. Thread-safe."""
        self._keyframe = True

    def _run(self) -> None:
        lower_priority(self._settings.niceness)
        while (annotated := self._next()) is not None:
            if not any(peer.connected for peer, _ in self._viewers.values()):
                continue
            try:
                self._encode(annotated)
            except Exception as error:  # the image is from another node and must not end the thread
                self._failed(error)
                self._stop_encoder()
        self._stop_encoder()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, EdgecamError | cv2.error):
            self._counters.add(f"video failed: {str(error).splitlines()[0]}")
        else:
            self._faults.add("video encoder", error)

    def _next(self) -> AnnotatedFrame | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting is not None or self._thread is None)
            annotated, self._waiting = self._waiting, None
            return None if self._thread is None else annotated

    def _encode(self, annotated: AnnotatedFrame) -> None:
        began = time.monotonic()
        frame = annotated.frame
        if frame.width > self._settings.max_width:
            pixels = shrink(frame.bgr(), self._settings.max_width)
            frame = Frame.from_array(pixels, "bgr8", frame.stamp_ns, frame.frame_id)
        planes, width, height = i420.from_frame(frame)
        encoder = self._encoder
        if encoder is None or encoder.size != (width, height):
            self._stop_encoder()
            encoder = self._start_encoder(width, height)
        elif self._keyframe and began - self._keyframe_at > KEYFRAME_PAUSE:
            self._keyframe, self._keyframe_at = False, began
            encoder.force_keyframe()
        encoder.push(planes, frame.stamp_ns)
        coded = encoder.pull(ENCODE_TIMEOUT)
        if coded is None:
            raise EdgecamError(f"the encoder returned no frame within {ENCODE_TIMEOUT:.0f} s")
        self.meter.add(time.monotonic(), time.monotonic() - began)
        self._send(coded, annotated)

    def _start_encoder(self, width: int, height: int) -> EncoderPipeline:
        request = encoders.EncoderRequest(self._settings.video_bitrate, KEYFRAME_INTERVAL)
        row = encoders.choose("auto", "h264")
        # Stored at once, because an encoder that fails at its first frame must also be stopped before it is freed.
        self._encoder = EncoderPipeline(row, request, width, height, self._settings.max_fps)
        return self._encoder

    def _stop_encoder(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.stop()

    def _send(self, coded: EncodedUnit, annotated: AnnotatedFrame) -> None:
        datagrams = [data for _, data in self._packetiser.packets(coded.nals, coded.stamp_ns)]
        packets = [gst.buffer_of(np.frombuffer(data, np.uint8)) for data in datagrams]
        note = json.dumps(self._note(annotated), separators=(",", ":"))
        kind = f"video {self._camera} {self._sent % NOTES}"  # bounds the queue of a viewer that does not read
        self._sent += 1
        for peer, notify in self._viewers.values():
            if peer.connected:
                notify(kind, note)
                peer.send(packets)

    def _note(self, annotated: AnnotatedFrame) -> dict[str, Any]:
        """The data to draw on the frame with this RTP timestamp; other fields as in wire.py."""
        return {
            "type": "video",
            "camera": self._camera,
            "rtp": self._packetiser.timestamp,
            "stamp": str(annotated.frame.stamp_ns),
            "width": annotated.frame.width,
            "height": annotated.frame.height,
            "detections": annotated.found,
        }
