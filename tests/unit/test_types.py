from __future__ import annotations

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media.encodings import ENCODINGS, to_bgr
from edgecam_core.types import Detections, Frame


def colours(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth bgr8 image, so that chroma subsampling costs little."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)]).astype(np.uint8)


BACK = {
    "bgr8": None,
    "rgb8": cv2.COLOR_BGR2RGB,
    "bgra8": cv2.COLOR_BGR2BGRA,
    "rgba8": cv2.COLOR_BGR2RGBA,
    "yuv422_yuy2": cv2.COLOR_BGR2YUV_YUY2,
    "yuv422": cv2.COLOR_BGR2YUV_UYVY,
}


@pytest.mark.parametrize("name", BACK)
def test_colour_encodings_come_back_as_the_same_bgr(name: str) -> None:
    bgr = colours()
    stored = bgr if BACK[name] is None else cv2.cvtColor(bgr, BACK[name])
    frame = Frame.from_array(stored, name)
    assert (frame.width, frame.height) == (64, 48)
    assert np.abs(frame.bgr().astype(int) - bgr).max() <= 8


@pytest.mark.parametrize("name", ["nv12", "nv21"])
def test_planar_encodings(name: str) -> None:
    bgr = colours()
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    u, v = i420[48:60].reshape(24, 32), i420[60:72].reshape(24, 32)
    first, second = (u, v) if name == "nv12" else (v, u)
    chroma = np.dstack([first, second]).reshape(24, 64)
    frame = Frame.from_array(np.vstack([i420[:48], chroma]), name)
    assert (frame.width, frame.height, frame.step) == (64, 48, 64)
    assert np.abs(frame.bgr().astype(int) - bgr).max() <= 12


def test_bayer_pattern_names_follow_the_first_two_pixels() -> None:
    red = np.zeros((8, 8), np.uint8)
    red[0::2, 0::2] = 255  # rggb: red sits at even rows and columns
    bgr = to_bgr(red, "bayer_rggb8")[2:-2, 2:-2]
    assert bgr[..., 2].mean() > 200
    assert bgr[..., 0].mean() < 10


def test_grey_encodings() -> None:
    grey = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    assert (Frame.from_array(grey, "mono16").bgr()[..., 0] == grey >> 8).all()
    assert Frame.from_array((grey >> 8).astype(np.uint8), "mono8").bgr().shape == (48, 64, 3)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_row_padding_is_not_part_of_the_image(name: str) -> None:
    row = ENCODINGS[name]
    rng = np.random.default_rng(1)
    shape = (row.stored_rows(6), 8) + ((row.channels,) if row.channels > 1 else ())
    pixels = rng.integers(0, 256, shape).astype(row.dtype)
    tight = Frame.from_array(pixels, name)
    padded = np.full((row.stored_rows(6), tight.step + 5 * pixels.itemsize), 7, np.uint8)
    padded[:, : tight.step] = tight.data.reshape(row.stored_rows(6), tight.step)
    frame = Frame(8, 6, name, padded.shape[1], padded.reshape(-1))
    assert (frame.array() == pixels).all()
    assert (frame.bgr() == tight.bgr()).all()


def test_a_view_costs_no_copy() -> None:
    bgr = colours()
    assert np.shares_memory(Frame.from_array(bgr, "bgr8").bgr(), bgr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, "bgr8", 0, 100), "no pixels"),
        ((4, 4, "mystery", 12, 100), "'mystery'.*bgr8"),
        ((4, 4, "bgr8", 11, 100), "step 11.*12 bytes"),
        ((4, 4, "bgr8", 12, 47), "needs 48 bytes, got 47"),
        ((3, 4, "yuv422", 6, 100), "even"),
        ((4, 3, "nv12", 4, 100), "even"),
        ((4, 4, "mono16", 8, 31), "needs 32 bytes"),
    ],
)
def test_an_impossible_image_is_refused(arguments: tuple, message: str) -> None:
    width, height, encoding, step, size = arguments
    with pytest.raises(ImageError, match=message):
        Frame(width, height, encoding, step, np.zeros(size, np.uint8))


def test_the_last_row_needs_no_padding() -> None:
    Frame(4, 2, "mono8", 8, np.zeros(12, np.uint8))


def test_iterating_detections_gives_records() -> None:
    found = Detections(
        np.array([[1, 2, 3, 4]], np.float32), np.array([0.5], np.float32), np.array([1], np.int32), ("a", "b")
    )
    (one,) = found
    assert (one.label, one.class_id, one.score, one.box, one.track_id) == ("b", 1, 0.5, (1, 2, 3, 4), "")
