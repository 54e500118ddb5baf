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

"""Converts planar YUV to BGR or RGB in one pass with FFmpeg's libswscale, which GStreamer's libav plugin brings.

OpenCV reads YUV only as BT.601 limited range. libswscale takes the matrix and the range as arguments and is as fast
for BT.709, but only where it has SIMD code: x86-64, and row lengths of whole registers. Everything else remains with
:mod:`edgecam_core.media.colour`.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# From libswscale/swscale.h.
_POINT = 0x10
_MATRICES = {"bt709": 1, "bt601": 5, "bt2020": 9}
_ONE = 1 << 16  # contrast and saturation, as 16.16 fixed point
_BRIGHTNESS = 1 << 8  # one level: the SIMD code truncates instead of rounding
_REGISTER = 32  # pixels per step of the SIMD code; it would write beyond the end of other rows
_SONAMES = tuple(f"libswscale.so.{major}" for major in range(5, 10))  # FFmpeg 4.x to 8.x: the same functions
_PIXELS = {"I420": b"yuv420p", "bgr8": b"bgr24", "rgb8": b"rgb24"}
_KEPT = 4  # contexts per thread

_local = threading.local()


def can_convert(width: int, height: int) -> bool:
    """Whether :func:`convert` takes frames of this size on this machine."""
    return width % _REGISTER == 0 and height % 2 == 0 and _library() is not None


def convert(planes: Sequence[np.ndarray], matrix: str, full_range: bool, encoding: str, out: np.ndarray) -> bool:
    """Write Y (H, W), U and V (H/2, W/2), all uint8 with contiguous rows, into ``out``, (H, W, 3) bgr8 or rgb8.

    Returns False, with ``out`` unchanged, if libswscale refuses the format. Use only if :func:`can_convert`. At most
    two levels from the exact value. Thread-safe.
    """
    height, width = planes[0].shape
    scaler = _scaler(width, height, matrix if matrix in _MATRICES else "bt601", full_range, encoding)
    if scaler is None:
        return False
    scaler(planes, out)
    return True


@functools.cache
def _library() -> Any:
    """libswscale, or None."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    for name in _SONAMES:
        try:
            library: Any = ctypes.CDLL(name)
        except OSError:
            continue
        library.sws_getContext.restype = library.sws_getCoefficients.restype = ctypes.c_void_p
        return library
    return None


class _Scaler:
    """One conversion context of libswscale, for one thread."""

    def __init__(self, context: int) -> None:
        self._context = ctypes.c_void_p(context)
        self._free: Callable[[Any], None] = _library().sws_freeContext
        self._scale: Callable[..., int] = _library().sws_scale

    def __call__(self, planes: Sequence[np.ndarray], out: np.ndarray) -> None:
        source = (ctypes.c_void_p * 4)(*(plane.ctypes.data for plane in planes))
        strides = (ctypes.c_int * 4)(*(plane.strides[0] for plane in planes))
        target, step = (ctypes.c_void_p * 4)(out.ctypes.data), (ctypes.c_int * 4)(out.strides[0])
        self._scale(self._context, source, strides, 0, len(planes[0]), target, step)

    def __del__(self) -> None:
        self._free(self._context)


def _scaler(width: int, height: int, matrix: str, full_range: bool, encoding: str) -> _Scaler | None:
    if not hasattr(_local, "scaler"):  # a context must not be used by two threads at once
        _local.scaler = functools.lru_cache(maxsize=_KEPT)(_new_scaler)
    scaler: _Scaler | None = _local.scaler(width, height, matrix, full_range, encoding)
    return scaler


def _new_scaler(width: int, height: int, matrix: str, full_range: bool, encoding: str) -> _Scaler | None:
    sws = _library()
    source, target = (sws.av_get_pix_fmt(_PIXELS[name]) for name in ("I420", encoding))
    context = sws.sws_getContext(width, height, source, width, height, target, _POINT, None, None, None)
    if not context:
        return None
    scaler = _Scaler(context)
    table, full = ctypes.c_void_p(sws.sws_getCoefficients(_MATRICES[matrix])), 1
    refused = sws.sws_setColorspaceDetails(
        ctypes.c_void_p(context), table, int(full_range), table, full, _BRIGHTNESS, _ONE, _ONE
    )
    return None if refused < 0 else scaler
