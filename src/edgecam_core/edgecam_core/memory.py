"""Memory of frames: freed pages are kept for the next frame instead of going back to the system."""

from __future__ import annotations

import ctypes

# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 128 << 20  # bytes; a process keeps at most so much that it does not use
_FROM_THE_HEAP = 32 << 20  # glibc's largest; a 4K frame has 25 MB


def keep_pages() -> None:
    """Let the C library's malloc keep what frames leave behind, for the whole process; call it before threads start.

    glibc gives the pages of a large block back when it is freed, and the next frame of the same size pays for
    getting and clearing them again, in every copy on its way: 3 ms of 30 from a 640x480 frame to its detections.
    Does nothing where the C library has no mallopt (musl, macOS).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_THE_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)
