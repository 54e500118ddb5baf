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

"""Converts an image of any size and encoding to the network's input: one resize and one pass over the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgecam_core.errors import ImageError
from edgecam_core.media.image_reader import LARGEST_SIDE
from edgecam_core.types import Frame

_PAD = 114  # grey level of letterbox bars, as in the training of YOLO-style models
_MAX_OPEN_SIDE = 1333  # of an input of open size; models with such an input resize images to no more than this


@dataclass(frozen=True)
class InputSpec:
    """The network's input: ``(pixel - mean) / std`` per channel in the order ``color``.

    ``width`` and ``height`` are 0 if the network accepts any size and resizes images itself; images are then only
    shrunk to at most 1333 pixels per side. ``fit`` is ``stretch`` (the image fills the input and loses its aspect
    ratio) or ``letterbox`` (it keeps its aspect ratio, grey bars fill the rest). ``layout`` is ``nchw``, ``nhwc`` (as
    TensorFlow exports) or ``chw`` (one image without a batch dimension). ``dtype`` is the element type; integers hold
    pixel values, with mean 0 and std 1. ``stride`` is above 0 if a letterboxed network accepts any size: the bars then
    pad each side only to the next multiple of ``stride``, within width and height.
    """

    name: str
    width: int
    height: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)
    color: str = "rgb"
    fit: str = "stretch"
    layout: str = "nchw"
    dtype: str = "float32"
    stride: int = 0


@dataclass(frozen=True)
class Placement:
    """The position of an image in the network's input: source = (input - offset) * scale, in pixels, per axis.

    ``width`` and ``height`` are those of the source image, ``size`` those of the network's input.
    """

    width: int
    height: int
    scale: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)
    size: tuple[int, int] = (1, 1)

    def to_source(self, boxes: np.ndarray, fractions: bool = False) -> np.ndarray:
        """Convert boxes (N, 4) x1 y1 x2 y2 to pixels of the source image, without clipping.

        Args:
            boxes: in pixels of the network's input.
            fractions: boxes are in fractions of its width and height instead.
        """
        shift = np.array(self.offset * 2, np.float32)
        scale = np.array(self.scale * 2, np.float32)
        pixels = boxes * np.array(self.size * 2, np.float32) if fractions else boxes
        return ((pixels - shift) * scale).astype(np.float32, copy=False)

    def clip(self, boxes: np.ndarray) -> np.ndarray:
        """Clip boxes in source pixels to the image."""
        limit = np.array((self.width, self.height) * 2, np.float32)
        return np.clip(boxes, 0, limit).astype(np.float32, copy=False)


class Preprocessor:
    """Converts images to a network's input. Thread-safe."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    def prepare(self, image: Frame) -> tuple[np.ndarray, Placement]:
        """The input tensor of one image and its placement; takes less than a millisecond for a VGA image.

        The tensor has the layout and element type of the spec, with a batch size of 1 if the layout has a batch.

        Raises:
            ImageError: the image is too large to be resized.
        """
        if max(image.width, image.height) > LARGEST_SIDE:
            size = f"{image.width}x{image.height}"
            raise ImageError(f"a {size} image is too large; the limit is {LARGEST_SIDE} pixels per side")
        placement, width, height, left, top = self._place(image)
        small, order = shrink(image, width, height)
        if (width, height) != placement.size:
            canvas = np.full((*placement.size[::-1], 3), _PAD, np.uint8)
            canvas[top : top + height, left : left + width] = small
            small = canvas
        return self._tensor(small, swap=order != self.spec.color), placement

    def _place(self, image: Frame) -> tuple[Placement, int, int, int, int]:
        """The placement, and width, height, left and top of the image in the network's input."""
        wide, high = self.spec.width, self.spec.height
        if not wide or not high:
            ratio = min(1.0, _MAX_OPEN_SIDE / max(image.width, image.height))
            wide, high = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
        if self.spec.fit == "stretch":
            scale = (image.width / wide, image.height / high)
            return Placement(image.width, image.height, scale, size=(wide, high)), wide, high, 0, 0
        ratio = min(wide / image.width, high / image.height)
        width, height = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
        if self.spec.stride:
            wide, high = (used + (side - used) % self.spec.stride for used, side in ((width, wide), (height, high)))
        left, top = (wide - width) // 2, (high - height) // 2
        scale = (image.width / width, image.height / height)
        offset = (float(left), float(top))
        return Placement(image.width, image.height, scale, offset, (wide, high)), width, height, left, top

    def _tensor(self, small: np.ndarray, swap: bool) -> np.ndarray:
        """Normalise (H, W, 3) uint8 and convert it to the spec's layout and element type."""
        spec = self.spec
        planes = [np.asarray(plane) for plane in cv2.split(small)]
        planes = planes[::-1] if swap else planes
        if np.dtype(spec.dtype).kind in "iu":
            tensor = np.stack(planes).astype(spec.dtype, copy=False)
        else:
            tensor = self._normalised(planes, small.shape).astype(spec.dtype, copy=False)
        if spec.layout == "chw":
            return tensor
        return np.ascontiguousarray(tensor.transpose(1, 2, 0))[None] if spec.layout == "nhwc" else tensor[None]

    def _normalised(self, planes: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        tensor = np.empty((3, *shape[:2]), np.float32)
        channels = zip(planes, self.spec.mean, self.spec.std, strict=True)
        for channel, (plane, mean, std) in enumerate(channels):
            # One SIMD pass from uint8 to float; twice as fast as NumPy, ten times as fast as blobFromImage.
            cv2.addWeighted(plane, 1 / std, plane, 0, -mean / std, dst=tensor[channel], dtype=cv2.CV_32F)
        return tensor


def shrink(image: Frame, width: int, height: int) -> tuple[np.ndarray, str]:
    """Resize an image: (height, width, 3) uint8, and its channel order, ``bgr`` or ``rgb``.

    Colour conversion comes after the resize, so that it touches fewer pixels.
    """
    pixels = image.array()
    if image.encoding in ("bgr8", "rgb8"):
        return _resize(pixels, width, height), image.encoding[:3]
    if image.encoding in ("bgra8", "rgba8"):
        return np.ascontiguousarray(_resize(pixels, width, height)[:, :, :3]), image.encoding[:3]
    if image.encoding == "mono8":
        return cv2.cvtColor(_resize(pixels, width, height), cv2.COLOR_GRAY2BGR), "bgr"
    if image.encoding in ("nv12", "nv21") and width % 2 == 0 and height % 2 == 0:
        return _shrink_two_planes(image, pixels, width, height), "bgr"
    return _resize(image.bgr(), width, height), "bgr"


def _shrink_two_planes(image: Frame, pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    luma = _resize(pixels[: image.height], width, height)
    chroma = pixels[image.height :].reshape(image.height // 2, image.width // 2, 2)
    code = cv2.COLOR_YUV2BGR_NV12 if image.encoding == "nv12" else cv2.COLOR_YUV2BGR_NV21
    return cv2.cvtColorTwoPlane(luma, _resize(chroma, width // 2, height // 2), code)


def _resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
