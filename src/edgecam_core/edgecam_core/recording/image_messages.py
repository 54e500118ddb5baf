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

"""Images in serialised messages: sensor_msgs/Image, sensor_msgs/CompressedImage, Foxglove's CompressedVideo.

Their CDR layout (DDS-XTypes 7.4) is fixed: header stamp (int32, uint32), frame_id, then the fields below.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media import encodings
from edgecam_core.types import Frame

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
VIDEO = ("foxglove_msgs/msg/CompressedVideo", "foxglove.CompressedVideo")
TYPES = (IMAGE, COMPRESSED, *VIDEO)
"""Message types of topics that can be shown."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A compressed image or an access unit. ``data`` is (N,) uint8, a view of the message; ``format`` is that of the
    message."""

    stamp_ns: int
    frame_id: str
    format: str
    data: np.ndarray


def image(data: bytes) -> Frame:
    """The frame of a serialised Image, a view of its data.

    Raises:
        ImageError: the message is truncated or contradicts itself.
    """
    reader = _Cdr(data)
    stamp_ns, frame_id = reader.header()
    height, width = reader.uint32(), reader.uint32()
    name = reader.string()
    encoding = encodings.OPENCV_NAMES.get(name, name)
    big_endian, step = reader.uint8(), reader.uint32()
    if big_endian and encodings.encoding(encoding).dtype is np.uint16:
        raise ImageError(f"a big-endian {encoding} image is not supported")
    return Frame(width, height, encoding, step, reader.bytes(), stamp_ns, frame_id)


def compressed(data: bytes) -> Coded:
    """The content of a serialised CompressedImage. Raises ImageError if the message is truncated."""
    reader = _Cdr(data)
    stamp_ns, frame_id = reader.header()
    format_ = reader.string()
    return Coded(stamp_ns, frame_id, format_, reader.bytes())


def video(data: bytes) -> Coded:
    """The access unit of a serialised CompressedVideo. Raises ImageError if the message is truncated."""
    reader = _Cdr(data)
    stamp_ns, frame_id = reader.header()
    unit = reader.bytes()
    return Coded(stamp_ns, frame_id, reader.string(), unit)


def frame(type_name: str, data: bytes) -> Frame:
    """The frame of an Image, or of a CompressedImage decoded to bgr8.

    Raises:
        ImageError: the message is damaged, or of another type.
    """
    if type_name == IMAGE:
        return image(data)
    if type_name != COMPRESSED:
        raise ImageError(f"{type_name} is not an image type")
    coded = compressed(data)
    pixels = cv2.imdecode(coded.data, cv2.IMREAD_COLOR) if len(coded.data) else None
    if pixels is None:
        raise ImageError(f"a compressed image of {len(coded.data)} bytes ({coded.format!r}) cannot be decoded")
    return Frame.from_array(pixels, "bgr8", coded.stamp_ns, coded.frame_id)


class _Cdr:
    """Reads plain CDR; alignment starts after the four bytes of the encapsulation header."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] > 1:
            raise ImageError(f"a message of {len(data)} bytes has no CDR header")
        self._order = "<" if data[1] == 1 else ">"
        self._data = memoryview(data)[4:]
        self._at = 0

    def header(self) -> tuple[int, str]:
        """Stamp in nanoseconds and frame_id."""
        seconds, nanoseconds = self._number("i", 4), self.uint32()
        return seconds * 10**9 + nanoseconds, self.string()

    def uint8(self) -> int:
        return self._number("B", 1)

    def uint32(self) -> int:
        return self._number("I", 4)

    def string(self) -> str:
        return bytes(self._take(self.uint32())).rstrip(b"\0").decode(errors="replace")

    def bytes(self) -> np.ndarray:
        return np.frombuffer(self._take(self.uint32()), np.uint8)

    def _number(self, code: str, size: int) -> int:
        self._at += -self._at % size
        (value,) = struct.unpack(self._order + code, self._take(size))
        return int(value)

    def _take(self, size: int) -> memoryview:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ImageError(f"a message of {len(self._data) + 4} bytes is truncated")
        self._at += size
        return piece
