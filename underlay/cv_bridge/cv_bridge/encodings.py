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

"""The encodings of sensor_msgs/image_encodings.hpp: channels, depth, colour order, OpenCV type."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2

DEPTHS = {"8U": 0, "8S": 1, "16U": 2, "16S": 3, "32S": 4, "32F": 5, "64F": 6}
NUMPY_NAMES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")
MAX_CHANNELS = 512  # CV_CN_MAX

# Not a constant: OpenCV 5 packs depth and channels differently.
_CHANNEL_STEP = cv2.CV_8UC2 - cv2.CV_8UC1
_TYPE = re.compile("(8U|8S|16U|16S|32S|32F|64F)(?:C([0-9]+))?")
_ABSTRACT = re.compile("(8|16|32|64)[USF]C([0-9]*)")


@dataclass(frozen=True)
class Color:
    """One named encoding.

    ``order`` is the channel order in the names of OpenCV's conversion codes; encodings of the same order differ only in
    depth. ``type_channels`` is the channel count of the array, ``channels`` that of image_encodings.hpp.
    """

    order: str
    bits: int
    channels: int
    type_channels: int


def _named() -> dict[str, Color]:
    table = {}
    for bits in (8, 16):
        table[f"mono{bits}"] = Color("GRAY", bits, 1, 1)
        for name, channels in (("rgb", 3), ("bgr", 3), ("rgba", 4), ("bgra", 4)):
            table[f"{name}{bits}"] = Color(name.upper(), bits, channels, channels)
        for pattern in ("rggb", "bggr", "gbrg", "grbg"):
            table[f"bayer_{pattern}{bits}"] = Color(f"BAYER_{pattern.upper()}", bits, 1, 1)
    for name, order in (("uyvy", "UYVY"), ("yuv422", "UYVY"), ("yuyv", "YUY2"), ("yuv422_yuy2", "YUY2")):
        table[name] = Color(order, 8, 2, 2)
    for name in ("nv12", "nv21", "nv24"):
        table[name] = Color(name.upper(), 8, 2, 1)
    return table


COLORS = _named()
# (array rows, image rows) of encodings that store the chroma below the luma plane.
PLANAR_ROWS = {"nv12": (3, 2), "nv21": (3, 2), "nv24": (3, 1)}


def num_channels(encoding: str) -> int:
    """The channel count of sensor_msgs. Raises RuntimeError for an unknown encoding."""
    if encoding in COLORS:
        return COLORS[encoding].channels
    return int(_abstract(encoding)[2] or 1)


def bit_depth(encoding: str) -> int:
    """Bits of one sample. Raises RuntimeError for an unknown encoding."""
    return COLORS[encoding].bits if encoding in COLORS else int(_abstract(encoding)[1])


def _abstract(encoding: str) -> re.Match[str]:
    match = _ABSTRACT.fullmatch(encoding)
    if match is None:
        raise RuntimeError(f"Unknown encoding {encoding}")
    return match


def make_type(depth: int, channels: int) -> int:
    """OpenCV's type code, e.g. CV_8UC3."""
    return depth + (channels - 1) * _CHANNEL_STEP


def getCvType(encoding: str) -> int:
    """The OpenCV type of an encoding. Raises RuntimeError for an unknown one."""
    if encoding in COLORS:
        color = COLORS[encoding]
        return make_type(DEPTHS[f"{color.bits}U"], color.type_channels)
    match = _TYPE.fullmatch(encoding)
    if match is None or not 1 <= int(match[2] or 1) <= MAX_CHANNELS:
        raise RuntimeError(f"Unrecognized image encoding [{encoding}]")
    return make_type(DEPTHS[match[1]], int(match[2] or 1))


def CV_MAT_CNWrap(cvtype: int) -> int:
    """Channels of an OpenCV type."""
    return cvtype // _CHANNEL_STEP + 1


def CV_MAT_DEPTHWrap(cvtype: int) -> int:
    """Depth of an OpenCV type, e.g. CV_16U."""
    return cvtype % _CHANNEL_STEP
