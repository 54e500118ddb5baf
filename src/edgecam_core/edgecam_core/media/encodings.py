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

"""Image encodings by their names in sensor_msgs/image_encodings.hpp, and their conversion to BGR.

Every encoding that the camera publishes or the detector accepts is one row of ``ENCODINGS``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecam_core.errors import ImageError


@dataclass(frozen=True)
class Encoding:
    """Pixel layout in memory.

    ``channels`` is the number of interleaved samples of a pixel (the last axis; 1: no such axis). ``rows`` is the
    height of the stored planes as a fraction of the frame height (NV12: 3/2). ``even`` states which sizes must be even
    (``"w"``, ``"wh"`` or ``""``). ``gstreamer`` is the caps format, None if GStreamer has none. ``to_bgr`` is the
    name of OpenCV's conversion code, None for a copy.
    """

    name: str
    dtype: type[np.generic]
    channels: int
    gstreamer: str | None
    to_bgr: str | None
    rows: tuple[int, int] = (1, 1)
    even: str = ""

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one pixel in one row of the (first) plane."""
        return int(np.dtype(self.dtype).itemsize) * self.channels

    def stored_rows(self, height: int) -> int:
        """Rows in memory of a frame of this height (NV12: height * 3 / 2)."""
        return height * self.rows[0] // self.rows[1]


def _table(*rows: Encoding) -> dict[str, Encoding]:
    return {row.name: row for row in rows}


_U8, _U16 = np.uint8, np.uint16
# OpenCV names Bayer patterns by the second and third pixel of the second row, ROS and GStreamer by the first two
# pixels of each row: rggb is OpenCV's "BayerBG".
ENCODINGS: dict[str, Encoding] = _table(
    Encoding("bgr8", _U8, 3, "BGR", None),
    Encoding("rgb8", _U8, 3, "RGB", "COLOR_RGB2BGR"),
    Encoding("bgra8", _U8, 4, "BGRA", "COLOR_BGRA2BGR"),
    Encoding("rgba8", _U8, 4, "RGBA", "COLOR_RGBA2BGR"),
    Encoding("mono8", _U8, 1, "GRAY8", "COLOR_GRAY2BGR"),
    Encoding("mono16", _U16, 1, "GRAY16_LE", "COLOR_GRAY2BGR"),
    Encoding("nv12", _U8, 1, "NV12", "COLOR_YUV2BGR_NV12", rows=(3, 2), even="wh"),
    Encoding("nv21", _U8, 1, "NV21", "COLOR_YUV2BGR_NV21", rows=(3, 2), even="wh"),
    Encoding("yuv422_yuy2", _U8, 2, "YUY2", "COLOR_YUV2BGR_YUY2", even="w"),
    Encoding("yuv422", _U8, 2, "UYVY", "COLOR_YUV2BGR_UYVY", even="w"),
    Encoding("bayer_rggb8", _U8, 1, "rggb", "COLOR_BayerBG2BGR"),
    Encoding("bayer_bggr8", _U8, 1, "bggr", "COLOR_BayerRG2BGR"),
    Encoding("bayer_gbrg8", _U8, 1, "gbrg", "COLOR_BayerGR2BGR"),
    Encoding("bayer_grbg8", _U8, 1, "grbg", "COLOR_BayerGB2BGR"),
)

# OpenCV's type names do not specify colour; publishers that use them follow OpenCV's channel order.
OPENCV_NAMES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC1": "mono16"}


def encoding(name: str) -> Encoding:
    """The encoding of that name.

    Raises:
        ImageError: the encoding is not supported.
    """
    try:
        return ENCODINGS[name]
    except KeyError:
        raise ImageError(f"image encoding {name!r} is not supported; use {', '.join(ENCODINGS)}") from None


def to_bgr(pixels: np.ndarray, name: str) -> np.ndarray:
    """Convert an image of the encoding ``name`` to bgr8, (H, W, 3) uint8.

    ``pixels`` has the shape of :meth:`edgecam_core.types.Frame.array`. bgr8 is returned unchanged, without a copy.
    16-bit samples keep their upper byte. YUV is read as BT.601 limited range, as in OpenCV.
    """
    row = encoding(name)
    if row.dtype is np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels if row.to_bgr is None else converted(pixels, row.to_bgr)


def converted(pixels: np.ndarray, code: str, out: np.ndarray | None = None) -> np.ndarray:
    """``cv2.cvtColor`` with a code by its name, e.g. ``COLOR_RGB2BGR``; ``out`` is written if given.

    OpenCV is imported with the first conversion, because many nodes need none: it takes 17 MB and a tenth of a start.
    """
    import cv2

    return cv2.cvtColor(pixels, getattr(cv2, code), dst=out)
