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

"""Converts GStreamer's raw video to bgr8, rgb8 or mono8 arrays, 3 to 5 times faster than videoconvert.

Planar YUV goes through libswscale where that is fast (:mod:`edgecam_core.media.swscale`), everything else through
OpenCV. OpenCV reads YUV as BT.601 limited range. Frames with another matrix or range (GStreamer assumes BT.709 for HD,
JPEG has full range) are first converted to BT.601 limited range by a linear map of their planes. This costs less than
a general conversion, because the chroma planes have a quarter of the pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media import swscale
from edgecam_core.media.encodings import converted
from edgecam_core.media.gst import Plane

TARGETS = ("bgr8", "rgb8", "mono8")
# Luma weights (red, blue) of ITU-R BT.601, BT.709 and BT.2020.
_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
_PACKED_YUV = {
    "YUY2": ("COLOR_YUV2BGR_YUY2", "COLOR_YUV2RGB_YUY2"),
    "UYVY": ("COLOR_YUV2BGR_UYVY", "COLOR_YUV2RGB_UYVY"),
}
# format: (channels, conversion code to BGR, to RGB, to grey); None: copy
_PACKED_RGB: dict[str, tuple[int, str | None, str | None, str | None]] = {
    "BGR": (3, None, "COLOR_BGR2RGB", "COLOR_BGR2GRAY"),
    "RGB": (3, "COLOR_RGB2BGR", None, "COLOR_RGB2GRAY"),
    "BGRx": (4, "COLOR_BGRA2BGR", "COLOR_BGRA2RGB", "COLOR_BGRA2GRAY"),
    "RGBx": (4, "COLOR_RGBA2BGR", "COLOR_RGBA2RGB", "COLOR_RGBA2GRAY"),
    "BGRA": (4, "COLOR_BGRA2BGR", "COLOR_BGRA2RGB", "COLOR_BGRA2GRAY"),
    "RGBA": (4, "COLOR_RGBA2BGR", "COLOR_RGBA2RGB", "COLOR_RGBA2GRAY"),
    "GRAY8": (1, "COLOR_GRAY2BGR", "COLOR_GRAY2RGB", None),
}  # fmt: skip


@dataclass(frozen=True)
class RawVideo:
    """One frame in GStreamer's memory layout: ``data`` is flat uint8, ``planes`` are offsets and strides in bytes."""

    width: int
    height: int
    format: str
    planes: Sequence[Plane]
    data: np.ndarray
    matrix: str = "bt601"
    full_range: bool = False

    def plane(self, index: int, columns: int, rows: int) -> np.ndarray:
        """The bytes of a plane as (rows, columns) uint8 without padding, a view.

        Raises:
            ImageError: the buffer is shorter than its format needs.
        """
        at, stride = self.planes[index].offset, self.planes[index].stride
        if stride < columns or at + stride * (rows - 1) + columns > len(self.data):
            size = f"{self.width}x{self.height} {self.format}"
            raise ImageError(f"a {size} buffer of {len(self.data)} bytes is too short for plane {index}")
        return np.ndarray((rows, columns), np.uint8, buffer=self.data, offset=at, strides=(stride, 1))


def convert(frame: RawVideo, encoding: str, out: np.ndarray) -> None:
    """Write the frame into ``out``: (H, W, 3) uint8 for bgr8 and rgb8, (H, W) for mono8, contiguous rows.

    Raises:
        ImageError: the format is not supported, or the buffer is too short.
    """
    if frame.format in _PACKED_RGB:
        _from_rgb(frame, encoding, out)
    elif frame.format in ("I420", "NV12", *_PACKED_YUV):
        _from_yuv(frame, encoding, out)
    else:
        raise ImageError(f"frames in GStreamer's format {frame.format!r} cannot be converted to {encoding}")


def _from_rgb(frame: RawVideo, encoding: str, out: np.ndarray) -> None:
    channels, *codes = _PACKED_RGB[frame.format]
    rows = frame.plane(0, frame.width * channels, frame.height)
    pixels = rows if channels == 1 else _grouped(rows, channels)
    code = codes[TARGETS.index(encoding)]
    if code is None:
        np.copyto(out, pixels)
    else:
        converted(pixels, code, out)


def _grouped(rows: np.ndarray, channels: int) -> np.ndarray:
    height, columns = rows.shape
    shape, strides = (height, columns // channels, channels), (rows.strides[0], channels, 1)
    return np.lib.stride_tricks.as_strided(rows, shape, strides)


def _from_yuv(frame: RawVideo, encoding: str, out: np.ndarray) -> None:
    if encoding == "mono8":
        _luma(frame, out)
        return
    if frame.format in _PACKED_YUV and frame.width % 2 == 0 and _is_limited_601(frame):
        pixels = _grouped(frame.plane(0, frame.width * 2, frame.height), 2)
        converted(pixels, _PACKED_YUV[frame.format][encoding == "rgb8"], out)
        return
    if frame.format == "NV12" and _even(frame) and _is_limited_601(frame):
        import cv2

        y = frame.plane(0, frame.width, frame.height)
        uv = _grouped(frame.plane(1, frame.width, frame.height // 2), 2)
        target = cv2.COLOR_YUV2RGB_NV12 if encoding == "rgb8" else cv2.COLOR_YUV2BGR_NV12
        cv2.cvtColorTwoPlane(y, uv, target, dst=out)
        return
    if frame.format in ("I420", "NV12") and _in_one_pass(frame, encoding, out):
        return
    stack = _as_i420(frame)
    code = "COLOR_YUV2RGB_I420" if encoding == "rgb8" else "COLOR_YUV2BGR_I420"
    if _even(frame):
        converted(stack, code, out)
    else:
        np.copyto(out, converted(stack, code)[: frame.height, : frame.width])


def _in_one_pass(frame: RawVideo, encoding: str, out: np.ndarray) -> bool:
    """Convert with libswscale; False, with ``out`` unchanged, where that is not possible."""
    if not swscale.can_convert(frame.width, frame.height):
        return False
    return swscale.convert(_planes(frame), frame.matrix, frame.full_range, encoding, out)


def _even(frame: RawVideo) -> bool:
    return frame.width % 2 == 0 and frame.height % 2 == 0


def _is_limited_601(frame: RawVideo) -> bool:
    return frame.matrix not in ("bt709", "bt2020") and not frame.full_range


def _as_i420(frame: RawVideo) -> np.ndarray:
    """The planes as one contiguous BT.601 limited-range I420 stack of even size, (H * 3 / 2, W)."""
    y, u, v = _planes(frame)
    width, height = frame.width + frame.width % 2, frame.height + frame.height % 2
    if _is_limited_601(frame) and frame.format == "I420" and _even(frame):
        whole = _contiguous(frame)
        if whole is not None:
            return whole
    stack = np.empty((height * 3 // 2, width), np.uint8)
    quarter = stack[height:].reshape(2, height // 2, width // 2)
    parts = (stack[: frame.height, : frame.width], quarter[0], quarter[1])
    if _is_limited_601(frame):
        for part, plane in zip(parts, (y, u, v), strict=True):
            np.copyto(part, plane)
    else:
        _to_601(frame, (y, u, v), parts)
    stack[: frame.height, frame.width :] = parts[0][:, -1:]
    stack[frame.height : height] = stack[frame.height - 1]
    return stack


def _contiguous(frame: RawVideo) -> np.ndarray | None:
    """The I420 stack as a view, if its planes follow each other without padding; otherwise None."""
    w, h = frame.width, frame.height
    tight = [(0, w), (w * h, w // 2), (w * h * 5 // 4, w // 2)]
    if [(p.offset, p.stride) for p in frame.planes] != tight or len(frame.data) < w * h * 3 // 2:
        return None
    return frame.data[: w * h * 3 // 2].reshape(h * 3 // 2, w)


def _planes(frame: RawVideo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y at full size, U and V at half width and height (rounded up), as views where possible."""
    w, h, half_w, half_h = frame.width, frame.height, (frame.width + 1) // 2, (frame.height + 1) // 2
    if frame.format == "I420":
        return frame.plane(0, w, h), frame.plane(1, half_w, half_h), frame.plane(2, half_w, half_h)
    if frame.format == "NV12":
        import cv2

        u, v = cv2.split(_grouped(frame.plane(1, half_w * 2, half_h), 2))
        return frame.plane(0, w, h), u, v
    rows = frame.plane(0, half_w * 4, h)
    first = 0 if frame.format == "YUY2" else 1
    luma = rows[:, first::2][:, :w]
    chroma = rows[::2, 1 - first :: 2]  # the chroma of every second row is enough for 4:2:0
    return luma, chroma[:, 0::2], chroma[:, 1::2]


def _luma(frame: RawVideo, out: np.ndarray) -> None:
    y = _planes(frame)[0]
    if frame.full_range:
        np.copyto(out, y)
    else:
        import cv2

        cv2.LUT(np.ascontiguousarray(y), _expand_table(), dst=out)


@functools.cache
def _expand_table() -> np.ndarray:
    """Table from limited range (16 black, 235 white) to full range."""
    return np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def _to_601(frame: RawVideo, planes: tuple[np.ndarray, np.ndarray, np.ndarray], out: tuple[np.ndarray, ...]) -> None:
    """Convert the planes (Y, U, V) to BT.601 limited range into ``out``; in 8 bits, for speed."""
    import cv2

    y, u, v = planes
    m, offset = linear_map(frame.matrix, frame.full_range)
    cv2.addWeighted(u, m[1, 1], v, m[1, 2], offset[1], dst=out[1])
    cv2.addWeighted(u, m[2, 1], v, m[2, 2], offset[2], dst=out[2])
    if not (m[0, 1] or m[0, 2]):
        cv2.convertScaleAbs(y, dst=out[0], alpha=m[0, 0], beta=offset[0])  # never below 0, because the offset is 16
        return
    # The contribution of chroma to Y, at a quarter of the pixels, with an offset of 128 so that it fits into a byte.
    share = cv2.addWeighted(u, m[0, 1], v, m[0, 2], offset[0] + 128)
    # Upsampled by merging it with itself and adding it to both rows of a pair: seven times faster than resize().
    wide = cv2.merge((share, share)).reshape(share.shape[0], -1)[:, : y.shape[1]]
    for first in (0, 1):
        lines = y[first::2]
        if len(lines):  # a frame of one row has no second one
            cv2.addWeighted(lines, m[0, 0], wide[: len(lines)], 1.0, -128.0, dst=out[0][first::2])


@functools.cache
def linear_map(matrix: str, full_range: bool) -> tuple[np.ndarray, np.ndarray]:
    """``(M, offset)``, (3, 3) and (3,): ``yuv601 = M @ yuv + offset`` in 8-bit BT.601 limited range code values."""
    source = _to_yuv(matrix if matrix in _WEIGHTS else "bt601", full_range)
    target = _to_yuv("bt601", False)
    m = target @ np.linalg.inv(source)
    m[np.abs(m) < 1e-9] = 0
    black = np.array([0.0 if full_range else 16.0, 128.0, 128.0])
    return m, np.array([16.0, 128.0, 128.0]) - m @ black


def _to_yuv(matrix: str, full_range: bool) -> np.ndarray:
    """RGB in 0..255 to YUV code values without their offsets (ITU-R BT.601, 709, 2020)."""
    red, blue = _WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    y_scale, c_scale = (1.0, 1.0) if full_range else (219 / 255, 224 / 255)
    rgb = np.eye(3)
    u = (rgb[2] - luma) / (2 * (1 - blue)) * c_scale
    v = (rgb[0] - luma) / (2 * (1 - red)) * c_scale
    return np.array([luma * y_scale, u, v])
