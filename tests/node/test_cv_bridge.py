"""cv_bridge: types, messages and arrays as in the original, and what only the replacement in underlay/ guarantees."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridgeError, getCvType
from cv_bridge_images import BRIDGE, message, noise, only_replacement
from sensor_msgs.msg import Image
from std_msgs.msg import Header

DEPTHS = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_array_type_has_an_encoding_and_is_restored_from_it(depth: str, channels: int) -> None:
    encoding = f"{depth}C{channels}"
    assert getCvType(encoding) == BRIDGE.encoding_to_cvtype2(encoding) == getattr(cv2, f"CV_{encoding}")
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == (DEPTHS[depth], channels)
    assert BRIDGE.dtype_with_channels_to_cvtype2(np.dtype(DEPTHS[depth]), channels) == encoding
    pixels = noise((4, 6, channels) if channels > 1 else (4, 6), DEPTHS[depth])
    sent = BRIDGE.cv2_to_imgmsg(pixels)
    assert (sent.encoding, sent.step, sent.height, sent.width) == (encoding, pixels[0].nbytes, 4, 6)
    assert np.array_equal(BRIDGE.imgmsg_to_cv2(sent), pixels)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("mono8", ("uint8", 1)), ("mono16", ("uint16", 1)), ("rgb8", ("uint8", 3)), ("bgra16", ("uint16", 4)),
        ("bayer_grbg8", ("uint8", 1)), ("bayer_rggb16", ("uint16", 1)), ("yuv422", ("uint8", 2)),
        ("yuv422_yuy2", ("uint8", 2)), ("32F", ("float32", 1)), ("8UC12", ("uint8", 12)),
    ],
)  # fmt: skip
def test_named_encodings(encoding: str, expected: tuple[str, int]) -> None:
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == expected


@pytest.mark.parametrize("encoding", ["klingon8", "8UC", "", "7UC1", "bgr8 "])
def test_an_unknown_encoding_is_named(encoding: str) -> None:
    with pytest.raises(CvBridgeError, match=rf"Unrecognized image encoding \[{encoding}\]"):
        BRIDGE.imgmsg_to_cv2(Image(encoding=encoding, width=1, height=1, step=1, data=[0]))


def test_passthrough_shares_the_memory_of_the_message() -> None:
    sent = message("bgr8", noise((4, 6, 3)))
    image = BRIDGE.imgmsg_to_cv2(sent)
    sent.data[0] ^= 0xFF
    assert image[0, 0, 0] == sent.data[0]


def test_a_conversion_never_shares_memory() -> None:
    sent = message("bgr8", noise((4, 6, 3)))
    image = BRIDGE.imgmsg_to_cv2(sent, "bgr8")
    before = image.copy()
    sent.data[0] ^= 0xFF
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("encoding", "shape", "dtype", "pad"), [
    ("mono8", (4, 6), "uint8", 5), ("bgr8", (4, 6, 3), "uint8", 6), ("mono16", (4, 6), "uint16", 4),
    ("32FC1", (4, 6), "float32", 8), ("yuv422", (4, 6, 2), "uint8", 4),
])  # fmt: skip
def test_row_padding_is_removed(encoding: str, shape: tuple[int, ...], dtype: str, pad: int) -> None:
    pixels = noise(shape, dtype)
    assert np.array_equal(BRIDGE.imgmsg_to_cv2(message(encoding, pixels, pad)), pixels)


@only_replacement
@pytest.mark.parametrize("pad", [1, 2, 4, 7])
def test_padding_need_not_be_whole_pixels(pad: int) -> None:
    pixels = noise((4, 6, 3))
    assert np.array_equal(BRIDGE.imgmsg_to_cv2(message("bgr8", pixels, pad)), pixels)


@only_replacement  # the real one breaks here with NumPy 2
@pytest.mark.parametrize(("encoding", "dtype"), [("mono16", "uint16"), ("32FC1", "float32"), ("mono8", "uint8")])
def test_big_endian_messages_become_native_byte_order(encoding: str, dtype: str) -> None:
    pixels = noise((4, 6), dtype)
    image = BRIDGE.imgmsg_to_cv2(message(encoding, pixels, big_endian=True))
    assert np.array_equal(image, pixels)
    assert image.dtype == np.dtype(dtype)
    assert image.dtype.isnative


def test_big_endian_arrays_are_sent_as_they_are() -> None:
    pixels = noise((4, 6), "uint16")
    sent = BRIDGE.cv2_to_imgmsg(pixels.astype(">u2"), "mono16")
    assert sent.is_bigendian == (sys.byteorder == "little")
    assert bytes(sent.data) == pixels.astype(">u2").tobytes()


@pytest.mark.parametrize(("width", "step", "size"), [(6, 18, 71), (6, 18, 0), (2, 6, 5)])
def test_too_little_data_is_an_error(width: int, step: int, size: int) -> None:
    sent = Image(encoding="bgr8", width=width, height=4, step=step, data=[0] * size)
    with pytest.raises(TypeError):  # CvBridgeError is one
        BRIDGE.imgmsg_to_cv2(sent)


@only_replacement
def test_a_step_shorter_than_a_row_is_an_error() -> None:
    sent = Image(encoding="bgr8", width=6, height=4, step=17, data=[0] * 72)
    with pytest.raises(CvBridgeError, match="a row of a 6x4 bgr8 image has 18 bytes, step is 17"):
        BRIDGE.imgmsg_to_cv2(sent)


def test_the_header_and_every_pixel_are_preserved() -> None:
    header = Header(frame_id="lens")
    pixels = noise((4, 6, 3))[::-1, ::2]  # not contiguous
    sent = BRIDGE.cv2_to_imgmsg(pixels, "bgr8", header)
    assert (sent.header.frame_id, sent.encoding, sent.width, sent.step) == ("lens", "bgr8", 3, 9)
    assert bytes(sent.data) == pixels.tobytes()


@pytest.mark.parametrize("encoding", ["mono8", "bgra8", "rgb16", "32FC3"])
def test_an_array_that_does_not_fit_is_refused(encoding: str) -> None:
    with pytest.raises(CvBridgeError, match=f"encoding specified as {encoding}, but image has incompatible type 8UC3"):
        BRIDGE.cv2_to_imgmsg(noise((4, 6, 3)), encoding)


def test_anything_but_an_image_is_refused() -> None:
    with pytest.raises(TypeError, match="not a numpy array"):
        BRIDGE.cv2_to_imgmsg([[1, 2]])  # type: ignore[arg-type]


@only_replacement
@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros(4, np.uint8), np.zeros((1, 2, 2, 3), np.uint8)])
def test_arrays_without_an_encoding_are_refused(array: np.ndarray) -> None:
    with pytest.raises(CvBridgeError, match=r"elements of type int64|2 or 3 dimensions"):
        BRIDGE.cv2_to_imgmsg(array)
