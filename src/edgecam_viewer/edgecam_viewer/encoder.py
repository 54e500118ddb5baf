"""JPEG encoding in its own thread: newest picture wins, one encoding for all viewers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from edgecam_core.errors import ImageError
from edgecam_core.tally import Meter, Tally
from edgecam_core.types import Frame

from edgecam_viewer.feed import Shot
from edgecam_viewer.wire import Picture, pack


def shrink(pixels: np.ndarray, max_width: int) -> np.ndarray:
    """The picture at most ``max_width`` wide, aspect ratio kept; the same array when it already is. bgr8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    if width <= max_width:
        return pixels
    size = (max_width, max(1, round(height * max_width / width)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def jpeg(frame: Frame, quality: int, max_width: int) -> np.ndarray:
    """The picture as a JPEG file, flat uint8. ``quality`` 1..100.

    Raises:
        ImageError: OpenCV cannot encode it (a side over 65500 px).
    """
    ok, data = cv2.imencode(".jpg", shrink(frame.bgr(), max_width), (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise ImageError(f"a {frame.width}x{frame.height} picture does not fit into JPEG")
    return data


class Encoder:
    """Turns shots into pictures on a thread of its own and gives them to ``sink``.

    A shot that waits while a newer one of the same camera comes is thrown away. A picture that cannot be encoded is
    counted in ``tally`` and skipped; any other exception ends the thread and goes to ``on_error``.

    Args:
        sink: called on the encoder's thread with every picture; must not block.
        on_error: called once, on the encoder's thread, with what ended it.
    """

    def __init__(
        self, sink: Callable[[Picture], None], on_error: Callable[[Exception], None], quality: int, max_width: int
    ) -> None:
        self.quality = quality
        self.max_width = max_width
        self.tally = Tally()
        self.meter = Meter()  # value: seconds one encoding took
        self._sink = sink
        self._on_error = on_error
        self._waiting: OrderedDict[int, Shot] = OrderedDict()
        self._wake = threading.Condition()
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._running = True
        self._thread = threading.Thread(target=self._run, name="jpeg encoder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; blocks for at most the encoding of one picture."""
        with self._wake:
            self._running = False
            self._waiting.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, camera: int, shot: Shot) -> None:
        """Encode this next, unless a newer shot of the camera comes first. Safe from any thread; never blocks."""
        with self._wake:
            if self._waiting.pop(camera, None) is not None:
                self.tally.add("picture overtaken before encoding")
            self._waiting[camera] = shot
            self._wake.notify()

    def _run(self) -> None:
        try:
            while True:
                with self._wake:
                    self._wake.wait_for(lambda: self._waiting or not self._running)
                    if not self._running:
                        return
                    camera, shot = self._waiting.popitem(last=False)
                self._encode(camera, shot)
        except Exception as error:
            self._on_error(error)

    def _encode(self, camera: int, shot: Shot) -> None:
        frame = shot.frame
        began = time.monotonic()
        try:
            data = jpeg(frame, self.quality, self.max_width)
        except (ImageError, cv2.error) as error:
            self.tally.add(f"picture not encoded: {str(error).splitlines()[0]}")
            return
        now = time.monotonic()
        self.meter.add(now, now - began)
        self._sink(pack(camera, frame.stamp_ns, (frame.width, frame.height), shot.found, data))
