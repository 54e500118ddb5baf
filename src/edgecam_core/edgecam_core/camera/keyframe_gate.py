"""Which coded frames a decoder gets: none that packet loss made useless, none that nobody wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecam_core.media import gst


class BufferKeyframeGate:
    """Decides for each coded frame, in order, whether the decoder may have it.

    After a loss a decoder goes on from references it has to invent, and says nothing: the frames are grey or torn
    until the next key frame. Depayloaders and parsers mark the buffer after a gap as a discontinuity; from there on,
    and from the start, everything is held back until a key frame comes. ``held`` counts what was held back. Called in
    GStreamer's streaming thread.
    """

    def __init__(self) -> None:
        flags = gst.load().BufferFlags
        self._discont, self._delta = int(flags.DISCONT), int(flags.DELTA_UNIT)
        self._waiting = True
        self.held = 0

    def __call__(self, buffer: Any) -> bool:
        return self.take(int(buffer.get_flags()))

    def take(self, flags: int) -> bool:
        """The decision by a buffer's GstBufferFlags alone."""
        if flags & self._discont:
            self._waiting = True
        if self._waiting and flags & self._delta:
            self.held += 1
            return False
        self._waiting = False
        return True


class IdleFrameSkipper:
    """Decides for each coded frame, in order, whether it is worth decoding: key frames always, the others only while
    ``wanted`` says so, from the next key frame on. ``skipped`` counts the others. Called in GStreamer's streaming
    thread.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._delta = int(gst.load().BufferFlags.DELTA_UNIT)
        self._open = False
        self.skipped = 0

    def __call__(self, buffer: Any) -> bool:
        return self.take(int(buffer.get_flags()))

    def take(self, flags: int) -> bool:
        """The decision by a buffer's GstBufferFlags alone."""
        key = not flags & self._delta
        self._open = self._wanted() and (self._open or key)
        if not key and not self._open:
            self.skipped += 1
        return key or self._open
