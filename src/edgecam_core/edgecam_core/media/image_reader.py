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

"""Decodes image files for detection, calibration and training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media.image_header import image_size, is_jpeg, jpeg_is_complete

LARGEST_SIDE = 32766
"""Pixels; cv2.resize has 16-bit sizes."""
MAX_PIXELS = 200_000_000
"""600 MB decoded."""


def read_image(path: str | Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 BGR, with its EXIF orientation applied.

    Drops alpha and converts grey to colour and 16 bits to 8. Checks the size before decoding. Blocks while reading and
    decoding, milliseconds per megapixel. Thread-safe.

    Raises:
        ImageError: the file cannot be read, is not an image, is truncated or too large; the text names the file.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror or error})") from error
    try:
        return decode_image(data)
    except ImageError as error:
        raise ImageError(f"{path} {error}") from error


def decode_image(data: bytes) -> np.ndarray:
    """Like :func:`read_image`, for an encoded image in memory; the text of an error begins with a verb."""
    if not data:
        raise ImageError("is empty")
    _check_size(data)
    if is_jpeg(data) and not jpeg_is_complete(data):
        raise ImageError("is truncated: the JPEG data ends before the image is complete; copy the file again")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({error.err})") from error
    if pixels is None:
        raise ImageError("cannot be read as an image: unknown format, damaged or truncated")
    return np.asarray(pixels)


def _check_size(data: bytes) -> None:
    width, height = image_size(data) or (1, 1)
    if not width or not height:
        raise ImageError("has no pixels")
    if max(width, height) > LARGEST_SIDE or width * height > MAX_PIXELS:
        limit = f"the limits are {LARGEST_SIDE} pixels per side and {MAX_PIXELS // 10**6} megapixels"
        raise ImageError(f"is too large, {width}x{height}; {limit}")
