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

"""JPEG encoding in a separate thread: the newest frame, encoded once for all viewers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import ImageError
from edgecam_core.priority import lower_priority
from edgecam_core.tracer import TRACER
from edgecam_core.types import Frame
from edgecam_ros.faults import FaultLog

from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.wire import FrameMessage, pack


def shrink(pixels: np.ndarray, max_width: int) -> np.ndarray:
    """The bgr8 image (H, W, 3), scaled down to ``max_width`` if it is wider; otherwise the same array."""
    height, width = pixels.shape[:2]
    if width <= max_width:
        return pixels
    size = (max_width, max(1, round(height * max_width / width)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def jpeg(frame: Frame, quality: int, max_width: int) -> np.ndarray:
    """The frame as JPEG data, flat uint8; ``quality`` is 1..100.

    Raises:
        ImageError: OpenCV cannot encode the frame (a side over 65500 px).
    """
    ok, data = cv2.imencode(".jpg", shrink(frame.bgr(), max_width), (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise ImageError(f"a {frame.width}x{frame.height} frame is too large for JPEG")
    return data


class JpegEncoder:
    """Encodes annotated frames as JPEG in a separate thread and passes the messages to ``sink``.

    A queued frame is dropped when a newer one of the same camera arrives. A frame that cannot be encoded is counted in
    ``counters`` and skipped.

    Args:
        sink: called on the encoder's thread with every message; must not block.
        faults: receives every exception that is not about the image.
        quality: JPEG quality, 1..100.
        max_width: wider frames are scaled down to this, in pixels.
        niceness: nice value of the thread.
    """

    def __init__(
        self, sink: Callable[[FrameMessage], None], faults: FaultLog, quality: int, max_width: int, niceness: int = 0
    ) -> None:
        self.quality = quality
        self.max_width = max_width
        self.counters = Counters()
        self.meter = Meter()  # value: duration of one encoding in seconds
        self._sink = sink
        self._faults = faults
        self._niceness = niceness
        self._waiting: OrderedDict[int, AnnotatedFrame] = OrderedDict()
        self._wake = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._run, name="jpeg encoder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks while a frame is being encoded."""
        with self._wake:
            self._running = False
            self._waiting.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, camera: int, annotated: AnnotatedFrame) -> None:
        """Encode this frame next, unless a newer one of the camera arrives first. Thread-safe; never blocks."""
        with self._wake:
            if self._waiting.pop(camera, None) is not None:
                self.counters.add("frame replaced before encoding")
            self._waiting[camera] = annotated
            self._wake.notify()

    def _run(self) -> None:
        lower_priority(self._niceness)
        while (waiting := self._next()) is not None:
            try:
                self._encode(*waiting)
            except (ImageError, cv2.error) as error:
                self.counters.add(f"frame not encoded: {str(error).splitlines()[0]}")
            except Exception as error:  # the image is from another node and must not end the thread
                self._faults.add("JPEG encoder", error)

    def _next(self) -> tuple[int, AnnotatedFrame] | None:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or not self._running)
            return self._waiting.popitem(last=False) if self._running else None

    def _encode(self, camera: int, annotated: AnnotatedFrame) -> None:
        frame = annotated.frame
        began = time.monotonic()
        data = jpeg(frame, self.quality, self.max_width)
        now = time.monotonic()
        self.meter.add(now, now - began)
        self._sink(pack(camera, frame.stamp_ns, (frame.width, frame.height), annotated.found, data))
        TRACER.reached("viewer.shown", frame.stamp_ns)
