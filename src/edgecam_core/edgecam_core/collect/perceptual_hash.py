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

"""A 64-bit perceptual hash (DCT hash): similar images differ in few bits."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np

from edgecam_core.types import Frame

BITS = 64
_SIDE, _LOW = 32, 8


def perceptual_hash(frame: Frame) -> int:
    """One bit for each of the 64 lowest frequencies of a 32x32 grey copy: whether it is above their median.

    The same image at two JPEG qualities differs in 0 to 3 bits, unrelated images in about 32.
    """
    pixels = frame.array() if frame.encoding in ("mono8", "bgr8", "rgb8") else frame.bgr()
    # Grey first: averaging one channel instead of three halves the time of the hash.
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW].ravel()
    bits = low > np.sort(low[1:])[(BITS - 1) // 2]  # the median; np.median imports numpy.ma first
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class KeptHashes:
    """The hashes of the newest ``limit`` kept frames of one camera."""

    def __init__(self, limit: int = 5000) -> None:
        self._limit = limit
        self._hashes: list[int] = []

    def add(self, value: int) -> None:
        """Add a hash; drops the oldest one above the limit."""
        self._hashes.append(value)
        del self._hashes[: -self._limit]

    def remove(self, value: int) -> None:
        """Remove one occurrence of a hash, if there is one."""
        with contextlib.suppress(ValueError):
            self._hashes.remove(value)

    def distance(self, value: int) -> int:
        """The smallest number of bits in which ``value`` differs from a kept hash; BITS if there is none."""
        if not self._hashes:
            return BITS
        difference = np.array(self._hashes, np.uint64) ^ np.uint64(value)
        return int(np.unpackbits(difference.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1).min())
