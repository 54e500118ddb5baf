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

"""The data types of frames and detections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media import encodings


@dataclass(frozen=True, slots=True)
class Frame:
    """One image with the fields of a sensor_msgs/Image.

    ``data`` is flat uint8, at least ``step * stored rows`` bytes long; it may be a view of memory with another owner,
    who defines how long it is valid. ``step`` is the length of one row in bytes, padding included (for NV12/NV21, of a
    row of the first plane). ``stamp_ns`` is the capture time in nanoseconds of the ROS clock; ``frame_id`` is the
    optical frame (REP-103).

    Raises:
        ImageError: the encoding is unknown, the size is below 1x1 or odd although the encoding needs an even size, the
            step is shorter than a row, or there are fewer bytes than the image needs.
    """

    width: int
    height: int
    encoding: str
    step: int
    data: np.ndarray
    stamp_ns: int = 0
    frame_id: str = ""

    def __post_init__(self) -> None:
        row = encodings.encoding(self.encoding)
        size = f"{self.width}x{self.height} {self.encoding}"
        if self.width < 1 or self.height < 1:
            raise ImageError(f"a {size} image has no pixels")
        if ("w" in row.even and self.width % 2) or ("h" in row.even and self.height % 2):
            raise ImageError(f"a {size} image needs an even size")
        if self.step < self.width * row.bytes_per_pixel:
            need = self.width * row.bytes_per_pixel
            raise ImageError(f"step {self.step} is too short: a row of a {size} image has {need} bytes")
        need = self.step * (row.stored_rows(self.height) - 1) + self.width * row.bytes_per_pixel
        if len(self.data) < need:
            raise ImageError(f"a {size} image with step {self.step} needs {need} bytes, got {len(self.data)}")

    @classmethod
    def from_array(cls, pixels: np.ndarray, encoding: str, stamp_ns: int = 0, frame_id: str = "") -> Frame:
        """A frame of an array (H, W, C), (H, W) or, for NV12/NV21, (H * 3 / 2, W). Copies only if not contiguous."""
        row = encodings.encoding(encoding)
        pixels = np.ascontiguousarray(pixels, dtype=row.dtype)
        height = pixels.shape[0] * row.rows[1] // row.rows[0]
        width = pixels.shape[1]
        step = width * row.bytes_per_pixel
        return cls(width, height, encoding, step, pixels.reshape(-1).view(np.uint8), stamp_ns, frame_id)

    def array(self) -> np.ndarray:
        """The pixels without padding, as a view: (H, W, C), (H, W) for one channel, (H * 3 / 2, W) for NV12/NV21."""
        row = encodings.encoding(self.encoding)
        item = np.dtype(row.dtype).itemsize
        shape: tuple[int, ...] = (row.stored_rows(self.height), self.width)
        strides: tuple[int, ...] = (self.step, row.bytes_per_pixel)
        if row.channels > 1:
            shape, strides = (*shape, row.channels), (*strides, item)
        return np.ndarray(shape, row.dtype, buffer=self.data, strides=strides)

    def bgr(self) -> np.ndarray:
        """The image as bgr8, (H, W, 3) uint8; a view of ``data`` if it is already bgr8."""
        return encodings.to_bgr(self.array(), self.encoding)


@dataclass(frozen=True, slots=True)
class Detection:
    """One detection. ``box`` is (x1, y1, x2, y2) in pixels of the source image, x2 > x1 and y2 > y1."""

    label: str
    class_id: int
    score: float
    box: tuple[float, float, float, float]
    track_id: str = ""


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one image, best score first.

    ``boxes`` is (N, 4) float32, x1 y1 x2 y2 in pixels of the source image; ``scores`` is (N,) float32 in 0..1;
    ``class_ids`` is (N,) int32, indices into ``labels``. ``track_ids`` is empty or has N entries.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    labels: tuple[str, ...]
    track_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        tracks = self.track_ids or ("",) * len(self)
        for box, score, class_id, track in zip(
            self.boxes.tolist(), self.scores.tolist(), self.class_ids.tolist(), tracks, strict=True
        ):
            yield Detection(self.labels[class_id], class_id, score, tuple(box), track)
