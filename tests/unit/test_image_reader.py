"""One reader for every image file: upright, complete and of an acceptable size, or the reason why not."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media.image_header import image_size, jpeg_is_complete
from edgecam_core.media.image_reader import decode_image, read_image
from tiny_models import quadrants

PIXELS = quadrants(64, 48)
FORMATS = ("jpg", "png", "bmp", "webp", "tif", "ppm", "gif")


def encoded(suffix: str, pixels: np.ndarray = PIXELS) -> bytes:
    if not cv2.haveImageWriter(f"x.{suffix}"):
        pytest.skip(f"this OpenCV writes no {suffix}")
    done, data = cv2.imencode(f".{suffix}", pixels)
    assert done
    return data.tobytes()


def exif(orientation: int, order: str = "<") -> bytes:
    """A JPEG APP1 segment with one tag."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return segment(0xE1, b"Exif\0\0" + tiff)


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_size_is_in_the_header(suffix: str) -> None:
    data = encoded(suffix)
    assert image_size(data) == (64, 48)
    assert decode_image(data).shape == (48, 64, 3)
    for length in range(64):
        image_size(data[:length])  # never an exception


def test_sizes_of_rarer_headers() -> None:
    for method in (cv2.IMWRITE_WEBP_QUALITY,):
        done, data = cv2.imencode(".webp", PIXELS, [method, 101])  # above 100: lossless
        assert done
        assert image_size(data.tobytes()) == (64, 48)
    done, data = cv2.imencode(".jpg", PIXELS, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert image_size(data.tobytes()) == (64, 48)
    assert image_size(b"P5\n# made by hand\n# twice\n64 48\n255\n") == (64, 48)
    assert image_size(b"MM\0*" + struct.pack(">IHHHIIHHII", 8, 2, 256, 4, 1, 64, 257, 4, 1, 48)) == (64, 48)
    assert image_size(b"nothing of the kind") is None


# Where the red (top left) quadrant of the stored pixels belongs, by EXIF orientation: (bottom?, right?).
CORNERS = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("before", [(), (segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),)])
def test_images_are_turned_upright(orientation: int, before: tuple[bytes, ...]) -> None:
    for order in "<>":
        pixels = decode_image(with_segments(encoded("jpg"), *before, exif(orientation, order)))
        assert pixels.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
        bottom, right = CORNERS[orientation]
        height, width = pixels.shape[:2]
        blue, green, red = pixels[height // 4 + bottom * height // 2, width // 4 + right * width // 2].tolist()
        assert red > 200
        assert max(blue, green) < 60


def test_data_after_a_jpeg_is_ignored(tmp_path: Path) -> None:
    whole = encoded("jpg")
    (tmp_path / "motion.jpg").write_bytes(whole + b"\0\0\0\x18ftypmp42" + bytes(5000))
    np.testing.assert_array_equal(read_image(tmp_path / "motion.jpg"), decode_image(whole))


@pytest.mark.parametrize("suffix", [name for name in FORMATS if name != "gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_file_is_not_an_image(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    data = encoded(suffix, noise)
    path = tmp_path / f"half.{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=r"half\.\w+ .*truncated"):
        read_image(path)


def test_half_a_jpeg_with_an_intact_thumbnail_is_not_an_image() -> None:
    whole = with_segments(encoded("jpg", np.zeros((48, 64, 3), np.uint8)), segment(0xE1, b"Exif\0\0" + encoded("jpg")))
    assert jpeg_is_complete(whole)
    with pytest.raises(ImageError, match="is truncated"):
        decode_image(whole[:-20])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "cannot be read as an image"),
        (b"P6\n60000 60000\n255\n", "is too large, 60000x60000; the limits are 32766 pixels per side"),
        (b"P6\n20000 20000\n255\n", "is too large, 20000x20000; .* 200 megapixels"),
        (b"P6\n0 5\n255\n", "has no pixels"),
    ],
)
def test_an_unusable_image_is_reported(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=rf"x\.jpg {reason}"):
        read_image(tmp_path / "x.jpg")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png cannot be read \(No such file"):
        read_image(tmp_path / "gone.png")
