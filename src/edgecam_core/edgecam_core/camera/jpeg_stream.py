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

"""Extracts complete JPEG images from a byte stream and skips the data between them. Pure."""

from __future__ import annotations

import re

_START = b"\xff\xd8"
# In entropy-coded data, FF is followed by 00 or a restart marker; any other marker begins the next segment.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_MAX_BYTES = 64 << 20
"""An image larger than this is an attack or an error."""


class JpegSplitter:
    """Finds images by JPEG markers (ITU-T T.81 section B.1).

    It therefore reads every dialect of MJPEG over HTTP: any boundary, a missing first boundary, parts without a length
    or with another type, and images without a boundary between them. A thumbnail inside an image does not end the
    image.
    """

    def __init__(self) -> None:
        self._data = b""
        self._at = -1  # read position inside the image; -1: between images

    def feed(self, data: bytes) -> list[bytes]:
        """The images that end with these bytes."""
        self._data += data
        found = []
        while (image := self._next()) is not None:
            found.append(image)
        if len(self._data) > _MAX_BYTES:
            self._data, self._at = b"", -1
        return found

    def _next(self) -> bytes | None:
        if self._at < 0:
            begin = self._data.find(_START)
            if begin < 0:
                self._data = self._data[-1:]  # half a marker
                return None
            self._data, self._at = self._data[begin:], 2
        while (marker := _MARKER.search(self._data, self._at)) is not None:
            at, code = marker.start(), self._data[marker.start() + 1]
            if code == 0xD9:
                image, self._data, self._at = self._data[: at + 2], self._data[at + 2 :], -1
                return image
            if code == 0xD8:  # the image before it was cut off
                self._data, self._at = self._data[at:], 2
                continue
            if at + 4 > len(self._data):
                break
            end = at + 2 + int.from_bytes(self._data[at + 2 : at + 4], "big")
            if end > len(self._data):
                self._at = at
                return None
            self._at = end
        else:
            self._at = max(self._at, len(self._data) - 1)
            return None
        self._at = at
        return None
