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

"""Converts colour and depth between encodings, by the rules of cv_bridge."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .encodings import COLORS, NUMPY_NAMES, CV_MAT_DEPTHWrap, bit_depth, getCvType, num_channels

# cv_bridge names a Bayer pattern by its first two pixels, OpenCV by the second two of the second row.
_BAYER = {"BAYER_RGGB": "BG", "BAYER_BGGR": "RG", "BAYER_GBRG": "GR", "BAYER_GRBG": "GB"}
_PLAIN = ("GRAY", "RGB", "BGR", "RGBA", "BGRA")
_TO_MONO_AND_COLOR = ("GRAY", "RGB", "BGR")


def _codes() -> dict[tuple[str, str], int | None]:
    """OpenCV's conversion code by pair of channel orders; None where only the depth changes."""
    codes: dict[tuple[str, str], int | None] = {(name, name): None for name in (*_PLAIN, "UYVY", "YUY2")}
    for target in _PLAIN:
        for source in _PLAIN:
            if source != target:
                codes[source, target] = getattr(cv2, f"COLOR_{source}2{target}")
        for source in ("UYVY", "YUY2", "NV12", "NV21"):
            gray = {"NV12": "420", "NV21": "420"}.get(source, source)
            suffix = f"GRAY_{gray}" if target == "GRAY" else f"{target}_{source}"
            codes[source, target] = getattr(cv2, f"COLOR_YUV2{suffix}")
        codes["NV24", target] = codes["UYVY", target]
    for source, name in _BAYER.items():
        for target in _TO_MONO_AND_COLOR:
            codes[source, target] = getattr(cv2, f"COLOR_Bayer{name}2{target}")
    return codes


CODES = _codes()


def cvtColor2(image: np.ndarray, encoding_in: str, encoding_out: str) -> np.ndarray:
    """A new array with the image in another encoding; a copy if both encodings are the same.

    Raises:
        RuntimeError: unknown encoding, a meaningless conversion, or an image that does not fit its encoding.
    """
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if encoding_out in ("", encoding_in):
        return image.copy()
    try:
        for code in _steps(encoding_in, encoding_out):
            if code is None:
                image = convert_depth(image, encoding_in, encoding_out)
            elif encoding_in == "nv24":
                image = cv2.cvtColor(_nv24_as_uyvy(image), code)[:, ::2].copy()
            else:
                image = cv2.cvtColor(image, code)
    except cv2.error as error:
        raise RuntimeError(str(error)) from error
    return image


def _steps(source: str, target: str) -> list[int | None]:
    """OpenCV's conversion codes to apply in turn; None means a change of depth."""
    same_channels = num_channels(source) == num_channels(target)
    if source not in COLORS:
        if target in COLORS:
            raise RuntimeError(
                f"[{source}] is not a color format. but [{target}] is. The conversion does not make sense"
            )
        if not same_channels:
            raise RuntimeError(f"[{source}] and [{target}] do not have the same number of channel")
        return [None]
    if target not in COLORS:
        if not same_channels:
            raise RuntimeError(
                f"[{source}] is a color format but [{target}] is not so they must have the same OpenCV type, "
                "CV_8UC3, CV16UC1 ...."
            )
        return [None]
    pair = COLORS[source].order, COLORS[target].order
    if pair not in CODES:
        raise RuntimeError(f"Unsupported conversion from [{source}] to [{target}]")
    steps = [CODES[pair]]
    if bit_depth(source) != bit_depth(target) and pair[0] != pair[1]:
        steps.append(None)
    return steps


def convert_depth(image: np.ndarray, encoding_in: str, encoding_out: str) -> np.ndarray:
    """The same channels in the target's depth; between 8 and 16 bits, values are scaled to the full range."""
    bits = bit_depth(encoding_in), bit_depth(encoding_out)
    scale = {(8, 16): 257.0, (16, 8): 1 / 257}.get(bits, 1.0)
    return scaled(image, NUMPY_NAMES[CV_MAT_DEPTHWrap(getCvType(encoding_out))], scale)


def scaled(image: np.ndarray, dtype: str, scale: float) -> np.ndarray:
    """``image * scale`` in another type: a new array, rounded to nearest (ties to even) and saturated."""
    target = np.dtype(dtype)
    if scale == 1.0 and (target.kind == "f" or image.dtype == target):
        return image.astype(target)
    if target == np.uint8 and image.dtype == np.uint16:
        return _convert_scale_abs(image, scale)
    limits = np.iinfo(target) if target.kind in "iu" else None
    if scale == 1.0 and limits is not None and image.dtype.kind in "iu":
        return (
            np.clip(image, limits.min, limits.max).astype(target) if _exceeds(image, limits) else image.astype(target)
        )
    values: Any = image.astype(np.float64 if image.dtype.itemsize > 2 else np.float32)
    values = values * scale
    if limits is None:
        return values.astype(target)
    # x86 converts NaN and numbers beyond 32 bits to -2^31; OpenCV saturates afterwards.
    values = np.where(np.abs(values) < 2.0**31, np.rint(values), -(2.0**31))
    return np.clip(values, limits.min, limits.max).astype(target)


def _exceeds(image: np.ndarray, limits: np.iinfo) -> bool:
    own = np.iinfo(image.dtype)
    return own.min < limits.min or own.max > limits.max


def _convert_scale_abs(image: np.ndarray, scale: float) -> np.ndarray:
    flat = image.reshape(image.shape[0], -1)  # any number of channels
    return cv2.convertScaleAbs(flat, alpha=scale).reshape(image.shape)


def _nv24_as_uyvy(image: np.ndarray) -> np.ndarray:
    """NV24 [3 x H, W] as UYVY with doubled columns, [H, 2 x W, 2], because OpenCV lacks 4:4:4 with two planes."""
    rows, width = image.shape[0] // 3, image.shape[1]
    packed = np.empty((rows, width, 4), np.uint8)
    packed[..., 0::2] = image[rows:].reshape(rows, width, 2)
    packed[..., 1::2] = image[:rows, :, None]
    return packed.reshape(rows, 2 * width, 2)
