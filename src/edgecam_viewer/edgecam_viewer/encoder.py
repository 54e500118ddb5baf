"""JPEG encoding in its own thread: newest frame wins, one encoding for all viewers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from edgecam_core.counters import Counters, Meter
from edgecam_core.errors import ImageError
from edgecam_core.types import Frame

from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.wire import FrameMessage, pack


def shrink(pixels: np.ndarray, max_width: int) -> np.ndarray:
    """The frame at most ``max_width`` wide, aspect ratio kept; the same array when it already is. bgr8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    if width <= max_width:
        return pixels
    size = (max_width, max(1, round(height * max_width / width)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def jpeg(frame: Frame, quality: int, max_width: int) -> np.ndarray:
    """The frame as a JPEG file, flat uint8. ``quality`` 1..100.

    Raises:
        ImageError: OpenCV cannot encode it (a side over 65500 px).
    """
    ok, data = cv2.imencode(".jpg", shrink(frame.bgr(), max_width), (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise ImageError(f"a {frame.width}x{frame.height} frame does not fit into JPEG")
    return data


class Encoder:
    """Turns shots into frames on a thread of its own and gives them to ``sink``.

    A annotated that waits while a newer one of the same camera comes is thrown away. A frame that cannot be encoded is
    counted in ``counters`` and skipped; any other exception ends the thread and goes to ``on_error``.

    Args:
        sink: called on the encoder's thread with every frame; must not block.
        on_error: called once, on the encoder's thread, with what ended it.
    """

    def __init__(
        self, sink: Callable[[FrameMessage], None], on_error: Callable[[Exception], None], quality: int, max_width: int
    ) -> None:
        self.quality = quality
        self.max_width = max_width
        self.counters = Counters()
        self.meter = Meter()  # value: seconds one encoding took
        self._sink = sink
        self._on_error = on_error
        self._waiting: OrderedDict[int, AnnotatedFrame] = OrderedDict()
        self._wake = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._run, name="jpeg encoder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; blocks for at most the encoding of one frame."""
        with self._wake:
            self._running = False
            self._waiting.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, camera: int, annotated: AnnotatedFrame) -> None:
        """Encode this next, unless a newer annotated of the camera comes first. Safe from any thread; never blocks."""
        with self._wake:
            if self._waiting.pop(camera, None) is not None:
                self.counters.add("frame overtaken before encoding")
            self._waiting[camera] = annotated
            self._wake.notify()

    def _run(self) -> None:
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._waiting or not self._running)
                    if not self._running:
                        return
                    camera, annotated = self._waiting.popitem(last=False)
                self._encode(camera, annotated)
        except Exception as error:
            self._on_error(error)

    def _encode(self, camera: int, annotated: AnnotatedFrame) -> None:
        frame = annotated.frame
        began = time.monotonic()
        try:
            data = jpeg(frame, self.quality, self.max_width)
        except (ImageError, cv2.error) as error:
            self.counters.add(f"frame not encoded: {str(error).splitlines()[0]}")
            return
        now = time.monotonic()
        self.meter.add(now, now - began)
        self._sink(pack(camera, frame.stamp_ns, (frame.width, frame.height), annotated.found, data))
