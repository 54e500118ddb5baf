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

"""One captured frame in GStreamer's memory, converted to the bytes of an image message only on demand."""

from __future__ import annotations

import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media import colour
from edgecam_core.media.encodings import ENCODINGS, converted
from edgecam_core.media.gst import MappedSample
from edgecam_core.types import Frame


class CapturedFrame:
    """A captured frame. Valid only during the ``on_frame`` call; call :meth:`frame` on that thread only.

    ``stamp_ns`` is the capture time (ROS clock), ``sequence`` counts the frames of this camera. ``view`` is the
    flip_method between source and frame. If ``is_jpeg``, :meth:`jpeg` returns the camera's JPEG data.

    Raises:
        ImageError: the JPEG data is incomplete or cannot be decoded.
    """

    def __init__(self, sample: MappedSample, stamp_ns: int, frame_id: str, sequence: int, view: str = "none") -> None:
        self._sample = sample
        self._decoded: np.ndarray | None = None
        self.stamp_ns = stamp_ns
        self.frame_id = frame_id
        self.sequence = sequence
        self.view = view
        self.is_jpeg = sample.media_type == "image/jpeg"
        if self.is_jpeg and not whole_jpeg(sample.data):
            raise ImageError(f"a JPEG frame of {len(sample.data)} bytes is incomplete")
        if self.is_jpeg and not sample.width:
            self.height, self.width = self._pixels().shape[:2]
        else:
            self.width, self.height = sample.width, sample.height

    @property
    def sample(self) -> MappedSample:
        """The GStreamer sample, for recording."""
        return self._sample

    def jpeg(self) -> np.ndarray:
        """The camera's JPEG data: flat uint8, a view."""
        return self._sample.data

    def size(self, encoding: str) -> int:
        """Number of bytes that :meth:`frame` writes for this encoding."""
        row = ENCODINGS[encoding]
        return self.width * row.bytes_per_pixel * row.stored_rows(self.height)

    def frame(self, encoding: str, out: np.ndarray | None = None) -> Frame:
        """The frame in an encoding, without row padding.

        ``out`` is flat uint8 memory of exactly :meth:`size` bytes to write into; None: allocate it.

        Raises:
            ImageError: the frame cannot be converted to this encoding, or is damaged.
        """
        row = ENCODINGS[encoding]
        memory = np.empty(self.size(encoding), np.uint8) if out is None else out
        step = self.width * row.bytes_per_pixel
        if encoding in colour.TARGETS:
            shape = (self.height, self.width, row.channels) if row.channels > 1 else (self.height, self.width)
            self._convert(encoding, memory.reshape(shape))
        else:
            self._copy_rows(encoding, memory.reshape(row.stored_rows(self.height), step))
        return Frame(self.width, self.height, encoding, step, memory, self.stamp_ns, self.frame_id)

    def _convert(self, encoding: str, out: np.ndarray) -> None:
        if not self.is_jpeg:
            colour.convert(self._raw(), encoding, out)
        elif encoding == "bgr8":
            np.copyto(out, self._pixels())
        else:
            converted(self._pixels(), "COLOR_BGR2RGB" if encoding == "rgb8" else "COLOR_BGR2GRAY", out)

    def _raw(self) -> colour.RawVideo:
        s = self._sample
        return colour.RawVideo(self.width, self.height, s.format, s.planes, s.data, s.matrix, s.full_range)

    def _pixels(self) -> np.ndarray:
        if self._decoded is None:
            import cv2

            self._decoded = cv2.imdecode(self._sample.data, cv2.IMREAD_COLOR)
            if self._decoded is None:
                raise ImageError(f"a JPEG frame of {len(self._sample.data)} bytes cannot be decoded")
        return self._decoded

    def _copy_rows(self, encoding: str, out: np.ndarray) -> None:
        row, sample = ENCODINGS[encoding], self._sample
        if sample.media_type == "video/x-bayer":
            # Bayer buffers have no video meta; GStreamer pads their rows to multiples of four bytes.
            stride = len(sample.data) // self.height
            np.copyto(out, np.ndarray(out.shape, np.uint8, buffer=sample.data, strides=(stride, 1)))
            return
        if sample.format != row.gstreamer:
            raise ImageError(f"the source delivers {sample.format or sample.media_type}, not {encoding}")
        raw = self._raw()
        np.copyto(out[: self.height], raw.plane(0, out.shape[1], self.height))
        if len(raw.planes) > 1:
            np.copyto(out[self.height :], raw.plane(1, out.shape[1], out.shape[0] - self.height))


def whole_jpeg(data: np.ndarray) -> bool:
    """Whether the data has JPEG's start and end markers; some cameras pad with zeros after the end marker."""
    if len(data) < 4 or data[0] != 0xFF or data[1] != 0xD8:
        return False
    tail = data[-4096:].tobytes().rstrip(b"\x00")
    return tail.endswith(b"\xff\xd9")
