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

"""CvBridge: converts sensor_msgs images to and from NumPy arrays in OpenCV's layout."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from .color import cvtColor2
from .encodings import (
    COLORS,
    DEPTHS,
    NUMPY_NAMES,
    PLANAR_ROWS,
    CV_MAT_CNWrap,
    CV_MAT_DEPTHWrap,
    getCvType,
    make_type,
)


class CvBridgeError(TypeError):
    """A conversion is not possible; the message has the reason."""


class CvBridge:
    """Converts between ROS images and OpenCV arrays. Stateless, so threads may share one object.

    Arrays are (height, width) for one channel, (height, width, channels) for more, in native byte order.
    An encoding is one of the strings of sensor_msgs/image_encodings.hpp; ``passthrough`` means "unchanged".
    """

    def __init__(self) -> None:
        depths = list(DEPTHS.items())
        self.cvtype_to_name = {make_type(code, n): f"{name}C{n}" for name, code in depths for n in range(1, 5)}
        self.cvdepth_to_numpy_depth = {code: NUMPY_NAMES[code] for _, code in depths}
        self.numpy_type_to_cvtype = {NUMPY_NAMES[code]: name for name, code in depths}
        self.numpy_type_to_cvtype.update({name: dtype for dtype, name in self.numpy_type_to_cvtype.items()})

    # -- types ---------------------------------------------------------------------------------------------

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """The encoding of an array type, e.g. ``8UC3`` for uint8 and 3."""
        if dtype.name not in NUMPY_NAMES:
            raise CvBridgeError(f"an image cannot have elements of type {dtype.name}; use {', '.join(NUMPY_NAMES)}")
        return f"{self.numpy_type_to_cvtype[dtype.name]}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """The array type of an OpenCV type, e.g. ``('uint8', 3)`` for CV_8UC3."""
        return self.cvdepth_to_numpy_depth[CV_MAT_DEPTHWrap(cvtype)], CV_MAT_CNWrap(cvtype)

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """The OpenCV type of an encoding, e.g. CV_8UC3 for ``bgr8``. Raises CvBridgeError if it is unknown."""
        try:
            return getCvType(encoding)
        except RuntimeError as error:
            raise CvBridgeError(error) from error

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """The array type of an encoding, e.g. ``('uint8', 3)`` for ``bgr8``. Raises CvBridgeError if it is unknown."""
        return self.cvtype2_to_dtype_with_channels(self.encoding_to_cvtype2(encoding))

    # -- raw images ----------------------------------------------------------------------------------------

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """The image of a message.

        With ``passthrough`` the array shares the message's memory unless rows are padded or the byte order differs;
        with any other encoding, including the message's own, it is a new array.

        Raises:
            CvBridgeError: unknown encoding, impossible conversion, or data too short for the size.
        """
        image = self._pixels(img_msg)
        if desired_encoding == "passthrough":
            return image
        return _convert(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = "passthrough", header: Any = None) -> Image:
        """A message with a copy of the image; ``passthrough`` sets the encoding from the array type, e.g. ``8UC3``.

        Raises:
            TypeError: not an array.
            CvBridgeError: the array does not fit the encoding.
        """
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError("Your input type is not a numpy array")
        if cvim.ndim not in (2, 3):
            raise CvBridgeError(f"an image has 2 or 3 dimensions, this array has {cvim.ndim}")
        channels = cvim.shape[2] if cvim.ndim == 3 else 1
        cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding != "passthrough":
            dtype, expected = self.encoding_to_dtype_with_channels(encoding)
            if (dtype, expected) != (cvim.dtype.name, channels):
                raise CvBridgeError(f"encoding specified as {encoding}, but image has incompatible type {cv_type}")

        img_msg = Image()
        img_msg.encoding = cv_type if encoding == "passthrough" else encoding
        stored, rows = PLANAR_ROWS.get(encoding, (1, 1))
        if cvim.shape[0] % stored:
            raise CvBridgeError(f"an array of a {encoding} image has a multiple of {stored} rows, got {cvim.shape[0]}")
        img_msg.height = cvim.shape[0] * rows // stored
        img_msg.width = cvim.shape[1]
        img_msg.step = cvim.shape[1] * channels * cvim.itemsize
        img_msg.is_bigendian = _is_big_endian(cvim.dtype)
        if header is not None:
            img_msg.header = header
        # Setting data from an array would convert it element by element.
        img_msg.data.frombytes(np.ascontiguousarray(cvim).reshape(-1).view(np.uint8).data)
        return img_msg

    def _pixels(self, message: Image) -> np.ndarray:
        name, channels = self.encoding_to_dtype_with_channels(message.encoding)
        dtype = np.dtype(name).newbyteorder(">" if message.is_bigendian else "<")
        data = _buffer(message)
        row = message.width * channels * dtype.itemsize
        stored, rows = PLANAR_ROWS.get(message.encoding, (1, 1))
        height = message.height * stored // rows
        title = f"{message.width}x{message.height} {message.encoding}"
        if message.step < row:
            raise CvBridgeError(
                f"Image is wrongly formed: a row of a {title} image has {row} bytes, step is {message.step}"
            )
        needed = message.step * (height - 1) + row if height and row else 0
        if len(data) < needed:
            size = f"a {title} image with step {message.step} needs {needed} bytes"
            raise CvBridgeError(f"Image is wrongly formed: {size}, got {len(data)}")
        if message.encoding == "nv24" and message.step != row:
            return _nv24_without_padding(np.frombuffer(data, np.uint8), message)
        shape = (height, message.width) if channels == 1 else (height, message.width, channels)
        strides = (message.step, channels * dtype.itemsize, dtype.itemsize)[: len(shape)]
        if not needed:
            return np.empty(shape, name)
        image = np.ascontiguousarray(np.ndarray(shape, dtype, data, strides=strides))
        return image.astype(name, copy=False)  # native byte order

    # -- compressed images ---------------------------------------------------------------------------------

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """The image of a compressed message, decoded by OpenCV without conversion: grey, BGR or BGRA, 8 or 16 bits.

        Raises:
            CvBridgeError: OpenCV cannot decode the data, or an impossible conversion.
        """
        data = _buffer(cmprs_img_msg)
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if len(data) else None
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        if image is None:
            raise CvBridgeError(
                f"OpenCV cannot decode the {len(data)} bytes of this compressed image (format '{cmprs_img_msg.format}')"
            )
        if desired_encoding == "passthrough":
            return image
        channels = image.shape[2] if image.ndim == 3 else 1
        source = {1: "mono", 3: "bgr", 4: "bgra"}.get(channels, "") + {1: "8", 2: "16"}.get(image.itemsize, "")
        if source not in COLORS:
            source = self.dtype_with_channels_to_cvtype2(image.dtype, channels)
        return _convert(image, source, desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """A message with the BGR image compressed by OpenCV, e.g. as ``jpg``, ``png`` or ``tiff``.

        Raises:
            TypeError: not an array.
            CvBridgeError: OpenCV cannot write this array in this format.
        """
        if not isinstance(cvim, (np.ndarray, np.generic)):
            raise TypeError("Your input type is not a numpy array")
        try:
            written, data = cv2.imencode("." + dst_format, cvim)
        except cv2.error as error:
            raise CvBridgeError(str(error)) from error
        if not written:
            raise CvBridgeError(f"OpenCV cannot write this {cvim.dtype} image of shape {cvim.shape} as '{dst_format}'")
        message = CompressedImage()
        message.format = dst_format
        message.data.frombytes(data.data)
        return message


def _buffer(message: Image | CompressedImage) -> Any:
    """The data as an object with the buffer protocol; tests and old code use lists."""
    return bytes(message.data) if isinstance(message.data, list) else message.data


def _convert(image: np.ndarray, source: str, target: str) -> np.ndarray:
    try:
        return cvtColor2(image, source, target)
    except RuntimeError as error:
        raise CvBridgeError(error) from error


def _is_big_endian(dtype: np.dtype) -> bool:
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")


def _nv24_without_padding(data: np.ndarray, message: Image) -> np.ndarray:
    """The image without row padding; rows of chroma, and their padding, are twice as long as those of luma."""
    width, height, step = message.width, message.height, message.step
    end = height * step * 3
    if len(data) < end:
        raise CvBridgeError(f"Image is wrongly formed: padded nv24 needs {end} bytes, got {len(data)}")
    luma = data[: height * step].reshape(height, step)[:, :width]
    chroma = data[height * step : end].reshape(height, 2 * step)[:, : 2 * width]
    return np.concatenate([luma, chroma.reshape(2 * height, width)])
