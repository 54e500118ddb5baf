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

"""Converts images of any encoding for display."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .color import cvtColor2, scaled
from .encodings import COLORS, bit_depth, num_channels

# CSS's named colours in alphabetical order, as cv_bridge assigns them to labels 0 to 145 (some are one level darker).
_LABEL_COLORS = """
eff8ff f9ebd6 00ffff 7effd3 efffff f5f5dc ffe3c4 000000 ffebcd 0000ff 892be1 a42a2a deb886 5f9e9f 7eff00 d2691e
ff7e50 6394ec fff8dc dc133b 00ffff 00008a 008a8a b8850a a9a9a9 006300 a9a9a9 bcb76b 8a008a 546b2e ff8b00 9931cc
8a0000 e99579 8fbb8f 473c8a 2e4f4f 2e4f4f 00ced1 9300d2 ff1392 00beff 696969 696969 1e90ff b12121 fff9ef 218a21
ff00ff dcdcdc f8f8ff ffd600 daa41f 808080 008000 acff2e 808080 efffef ff69b4 cd5c5c 4a0082 ffffef efe68b e6e6f9
ffeff5 7bfb00 fff9cd acd7e6 ef8080 dfffff f9f9d2 d2d2d2 90ed90 d2d2d2 ffb6c1 ff9f79 1fb1aa 86cef9 778799 778799
afc4de ffffdf 00ff00 31cd31 f9efe6 ff00ff 800000 66cdaa 0000cd b954d2 926fdb 3bb370 7a68ed 00f99a 47d1cc c61585
18186f f5fff9 ffe3e0 ffe3b5 ffdeac 000080 fcf5e6 808000 6b8e22 ffa400 ff4500 da6fd5 ede8aa 97fa97 aeeded ffeed4
ffdab8 cd853e ffc0ca dd9fdd afdfe6 800080 ff0000 bb8f8f 4169e0 8a4512 f98071 f9a35f 2d8a56 fff5ed 9f522c c0c0c0
86ceeb 6a5acd 6f8090 6f8090 fff9f9 00ff7e 4682b4 d2b48b 008080 d7bed7 ff6246 40dfd0 ed82ed f5deb3 ffffff f5f5f5
ffff00 9acd31
"""
_LABELS_BGR = np.array([list(bytes.fromhex(color))[::-1] for color in _LABEL_COLORS.split()], np.uint8)
_NAME = "cv_bridge.cvtColorForDisplay()"


def cvtColorForDisplay(
    source: np.ndarray,
    encoding_in: str,
    encoding_out: str,
    do_dynamic_scaling: bool = False,
    min_image_value: float = 0.0,
    max_image_value: float = 0.0,
    colormap: int = -1,
) -> np.ndarray:
    """Convert an image of any encoding to 8-bit colour or mono.

    ``32SC1`` to ``bgr8`` colours the labels. If min and max differ, one channel is scaled from [min, max] to [0, 255]
    and mapped through OpenCV's ``colormap`` unless that is -1; NaN becomes black. ``do_dynamic_scaling`` takes min and
    max from the image, without infinities. Everything else is :func:`cvtColor2`. An empty ``encoding_out`` means bgr8.

    Raises:
        RuntimeError: an output that is not 8-bit colour or mono, or a conversion that cannot be done.
    """
    encoding = encoding_out or _guess(encoding_in)
    if encoding not in COLORS or COLORS[encoding].order.startswith("BAYER") or bit_depth(encoding) != 8:
        raise RuntimeError(f"{_NAME} does not have an output encoding that is color or mono, and has is bit in depth")
    if encoding == "bgr8" and encoding_in == "32SC1":
        return _label_colors(source)
    try:
        if do_dynamic_scaling:
            min_image_value, max_image_value = _range(source)
            if min_image_value == max_image_value:
                return np.full((*source.shape[:2], 3), 128, np.uint8)
        if min_image_value != max_image_value:
            return _scaled_for_display(source, encoding_in, encoding, min_image_value, max_image_value, colormap)
    except cv2.error as error:
        raise RuntimeError(str(error)) from error
    source_encoding = "mono16" if encoding_in == "16UC1" else encoding_in
    if source_encoding == encoding:
        return source
    try:
        return cvtColor2(source, source_encoding, encoding)
    except RuntimeError as error:
        action = f"while trying to convert image from '{encoding_in}' to '{encoding}'"
        raise RuntimeError(f"{_NAME} {action} an exception was thrown ({error})") from error


def _guess(encoding: str) -> str:
    try:
        if bit_depth(encoding) in (8, 16, 32):
            return "bgr8"
    except RuntimeError:
        pass
    raise RuntimeError(f"{_NAME} output encoding is empty and cannot be guessed.")


def _label_colors(labels: np.ndarray) -> np.ndarray:
    labels = labels.reshape(labels.shape[:2])
    number = np.fmod(labels, len(_LABELS_BGR))  # keeps the sign, as in C++
    return np.where((number < 0)[..., None], np.uint8(0), _LABELS_BGR[number])


def _range(source: np.ndarray) -> tuple[float, float]:
    mask = ((source != np.inf) & (source != -np.inf)).astype(np.uint8)
    low, high, _, _ = cv2.minMaxLoc(source, mask)
    return low, high


def _scaled_for_display(
    source: np.ndarray, encoding_in: str, encoding: str, low: float, high: float, colormap: int
) -> np.ndarray:
    if num_channels(encoding_in) != 1:
        raise RuntimeError(f"{_NAME} scaling for images with more than one channel is unsupported")
    source = source.reshape(source.shape[:2])
    shift: Any = -low  # OpenCV accepts a number as a scalar; its type stubs do not
    grey = scaled(cv2.add(source, shift), "uint8", 255.0 / (high - low))
    if colormap == -1:
        return cvtColor2(grey, "mono8", encoding)
    colored = cv2.applyColorMap(grey, colormap)
    if encoding_in == "32FC1":
        colored[np.isnan(source)] = 0
    return cvtColor2(colored, "bgr8", encoding)
