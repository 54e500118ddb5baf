"""cv_bridge: conversions between colours, planar formats and compressed images."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import cv_bridge
import numpy as np
import pytest
from cv_bridge import CvBridgeError, cvtColorForDisplay
from cv_bridge_images import BRIDGE, message, noise, only_replacement
from sensor_msgs.msg import CompressedImage

BGR = noise((4, 6, 3))

WIDE = noise((4, 6, 3), "uint16")

MOSAIC = noise((8, 8))

PACKED = noise((4, 6, 2))


@pytest.mark.parametrize(
    ("source", "pixels", "target", "expected"),
    [
        ("bgr8", BGR, "rgb8", BGR[..., ::-1]),
        ("bgr8", BGR, "rgba8", np.dstack([BGR[..., ::-1], np.full((4, 6), 255, np.uint8)])),
        ("rgba8", np.dstack([BGR, BGR[..., 0]]), "bgr8", BGR[..., ::-1]),
        ("bgr8", BGR, "mono8", cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)),
        ("mono8", BGR[..., 0], "bgr8", np.dstack([BGR[..., 0]] * 3)),
        ("bgr8", BGR, "bgr16", BGR.astype(np.uint16) * 257),
        ("bgr16", WIDE, "bgr8", np.rint(WIDE / 257).astype(np.uint8)),
        ("rgb16", WIDE, "bgr8", np.rint(WIDE[..., ::-1] / 257).astype(np.uint8)),
        ("bgr8", BGR, "mono16", cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257),
        ("bayer_rggb8", MOSAIC, "bgr8", cv2.cvtColor(MOSAIC, cv2.COLOR_BayerBG2BGR)),
        ("bayer_grbg8", MOSAIC, "rgb8", cv2.cvtColor(MOSAIC, cv2.COLOR_BayerGB2RGB)),
        ("bayer_bggr8", MOSAIC, "mono8", cv2.cvtColor(MOSAIC, cv2.COLOR_BayerRG2GRAY)),
        ("yuv422", PACKED, "bgr8", cv2.cvtColor(PACKED, cv2.COLOR_YUV2BGR_UYVY)),
        ("yuv422", PACKED, "mono8", PACKED[..., 1]),
        ("yuv422_yuy2", PACKED, "rgb8", cv2.cvtColor(PACKED, cv2.COLOR_YUV2RGB_YUY2)),
        ("yuv422_yuy2", PACKED, "mono8", PACKED[..., 0]),
        ("bgr8", BGR, "8UC3", BGR),
        ("32FC1", np.array([[-3, 0.5, 1.5, 2.5, 300]], np.float32), "8UC1", np.array([[0, 0, 2, 2, 255]], np.uint8)),
        ("16SC1", np.array([[-5, 70, 20000]], np.int16), "32FC1", np.array([[-5, 70, 20000]], np.float32)),
    ],
)  # fmt: skip
def test_conversions(source: str, pixels: np.ndarray, target: str, expected: np.ndarray) -> None:
    result = BRIDGE.imgmsg_to_cv2(message(source, pixels), target)
    assert result.dtype == expected.dtype
    assert np.array_equal(result, expected)


def test_sixteen_bits_to_eight_round_to_the_nearest_everywhere() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(BRIDGE.imgmsg_to_cv2(message("mono16", ramp), "mono8"), np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("source", "shape", "target", "reason"),
    [
        ("8UC3", (4, 6, 3), "bgr8", r"\[8UC3\] is not a color format. but \[bgr8\] is"),
        ("8UC3", (4, 6, 3), "8UC1", "do not have the same number of channel"),
        ("bgr8", (4, 6, 3), "8UC1", "they must have the same OpenCV type"),
        ("bgr8", (4, 6, 3), "bayer_rggb8", r"Unsupported conversion from \[bgr8\] to \[bayer_rggb8\]"),
        ("bgr8", (4, 6, 3), "klingon8", "Unknown encoding klingon8"),
    ],
)
def test_an_impossible_conversion_gives_the_reason(
    source: str, shape: tuple[int, ...], target: str, reason: str
) -> None:
    with pytest.raises(CvBridgeError, match=reason):
        BRIDGE.imgmsg_to_cv2(message(source, noise(shape)), target)


@only_replacement
@pytest.mark.parametrize(("name", "alias"), [("uyvy", "yuv422"), ("yuyv", "yuv422_yuy2")])
def test_the_new_names_of_packed_yuv(name: str, alias: str) -> None:
    new, old = (BRIDGE.imgmsg_to_cv2(message(encoding, PACKED), "bgr8") for encoding in (name, alias))
    assert np.array_equal(new, old)


def _flat_yuv(name: str, y: int, u: int, v: int) -> np.ndarray:
    """A 6x4 image of one colour, in the array layout of the encoding."""
    pair = (v, u) if name == "nv21" else (u, v)
    rows = 2 if name != "nv24" else 8
    return np.concatenate([np.full((4, 6), y, np.uint8), np.tile(np.array(pair, np.uint8), (rows, 3))])


@only_replacement
@pytest.mark.parametrize("name", ["nv12", "nv21", "nv24"])
@pytest.mark.parametrize("pad", [0, 10])
def test_planar_yuv(name: str, pad: int) -> None:
    """BT.601 with video range: Y 81, U 90, V 240 is pure red."""
    pixels = _flat_yuv(name, 81, 90, 240)
    sent = BRIDGE.cv2_to_imgmsg(pixels, name)
    assert (sent.height, sent.width, sent.step, len(sent.data)) == (4, 6, 6, pixels.size)
    if pad:
        luma, chroma = pixels[:4], pixels[4:].reshape(-1, 12 if name == "nv24" else 6)
        wide = pad * 2 if name == "nv24" else pad
        padded = [np.pad(luma, ((0, 0), (0, pad))), np.pad(chroma, ((0, 0), (0, wide)))]
        sent.step = 6 + pad
        sent.data = b"".join(part.tobytes() for part in padded)
    assert np.array_equal(BRIDGE.imgmsg_to_cv2(sent), pixels)
    image = BRIDGE.imgmsg_to_cv2(sent, "bgr8")
    assert image.shape == (4, 6, 3)
    assert np.abs(image.astype(int) - (0, 0, 255)).max() <= 2


@only_replacement
def test_nv24_keeps_the_colour_of_every_pixel() -> None:
    pixels = _flat_yuv("nv24", 81, 90, 240)
    pixels[4, 2:4] = 240, 110  # U and V of the second pixel; its luma makes it blue
    pixels[0, 1] = 41
    image = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(pixels, "nv24"), "rgb8").astype(int)
    assert np.abs(image[0, 1] - (0, 0, 255)).max() <= 2
    assert np.abs(image[0, [0, 2]] - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("name", ["png", "bmp", "tiff"])
def test_lossless_formats_return_every_pixel(name: str) -> None:
    sent = BRIDGE.cv2_to_compressed_imgmsg(BGR, name)
    assert sent.format == name
    assert np.array_equal(BRIDGE.compressed_imgmsg_to_cv2(sent), BGR)
    assert np.array_equal(BRIDGE.compressed_imgmsg_to_cv2(sent, "rgb8"), BGR[..., ::-1])


def test_jpeg_is_the_default() -> None:
    smooth = cv2.resize(BGR[:2, :2], (64, 48), interpolation=cv2.INTER_LINEAR)
    sent = BRIDGE.cv2_to_compressed_imgmsg(smooth)
    assert (sent.format, bytes(sent.data[:2])) == ("jpg", b"\xff\xd8")
    assert np.abs(BRIDGE.compressed_imgmsg_to_cv2(sent, "bgr8").astype(int) - smooth).mean() < 4


@only_replacement
@pytest.mark.parametrize(
    ("pixels", "target", "expected"),
    [
        (BGR[..., 0].copy(), "bgr8", np.dstack([BGR[..., 0]] * 3)),
        (BGR[..., 0].copy(), "mono8", BGR[..., 0]),
        (WIDE[..., 0].copy(), "mono16", WIDE[..., 0]),
        (WIDE, "rgb8", np.rint(WIDE[..., ::-1] / 257).astype(np.uint8)),
        (np.dstack([BGR, BGR[..., 0]]), "rgb8", BGR[..., ::-1]),
    ],
)
def test_a_compressed_image_converts_from_its_own_encoding(
    pixels: np.ndarray, target: str, expected: np.ndarray
) -> None:
    result = BRIDGE.compressed_imgmsg_to_cv2(BRIDGE.cv2_to_compressed_imgmsg(pixels, "png"), target)
    assert result.dtype == expected.dtype
    assert np.array_equal(result, expected)


@only_replacement
@pytest.mark.parametrize("data", [b"", b"no image", bytes(BRIDGE.cv2_to_compressed_imgmsg(BGR, "png").data[:20])])
def test_data_that_is_not_a_compressed_image_is_an_error(data: bytes) -> None:
    with pytest.raises(CvBridgeError, match=f"cannot decode the {len(data)} bytes"):
        BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png", data=data))


@only_replacement
@pytest.mark.parametrize("call", [
    lambda: BRIDGE.cv2_to_compressed_imgmsg(BGR, "xyz"),
    lambda: BRIDGE.cv2_to_compressed_imgmsg(noise((4, 6, 5)), "png"),
])  # fmt: skip
def test_an_image_that_cannot_be_compressed_is_an_error(call: Callable[[], CompressedImage]) -> None:
    with pytest.raises(CvBridgeError):
        call()


def test_labels_get_colours() -> None:
    image = cvtColorForDisplay(np.array([[-1, 0, 7, 146]], np.int32), "32SC1", "bgr8")
    assert image.tolist() == [[[0, 0, 0], [255, 248, 239], [0, 0, 0], [255, 248, 239]]]


def test_depth_is_scaled_for_display() -> None:
    depth = np.array([[1.0, 2.0, 3.0, np.inf]], np.float32)
    assert cvtColorForDisplay(depth, "32FC1", "mono8", True).tolist()[0][:3] == [0, 128, 255]  # except infinity
    assert cvtColorForDisplay(depth, "32FC1", "mono8", False, 0.0, 5.0).tolist()[0][:3] == [51, 102, 153]
    depth[0, 0] = np.nan
    assert cvtColorForDisplay(depth, "32FC1", "bgr8", True, 0.0, 0.0, cv2.COLORMAP_JET)[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("target", ["mono16", "32FC1", "bayer_rggb8"])
def test_a_display_is_eight_bit_colour_or_mono(target: str) -> None:
    with pytest.raises(RuntimeError, match="color or mono"):
        cvtColorForDisplay(BGR, "bgr8", target)


def test_the_modules_have_the_originals_names() -> None:
    from cv_bridge.boost import cv_bridge_boost
    from cv_bridge.core import CvBridge as FromCore

    assert FromCore is cv_bridge.CvBridge
    assert (cv_bridge_boost.CV_MAT_CNWrap(cv2.CV_16UC3), cv_bridge_boost.CV_MAT_DEPTHWrap(cv2.CV_16UC3)) == (
        3,
        cv2.CV_16U,
    )
    assert np.array_equal(cv_bridge_boost.cvtColor2(BGR, "bgr8", "rgb8"), BGR[..., ::-1])
