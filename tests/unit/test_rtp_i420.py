"""Colour conversion for the encoder: GStreamer reads our planes correctly."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media import gst, i420
from edgecam_core.types import Frame
from rtp_scene import pixels_of, psnr

SIZES = [(320, 240), (322, 242), (326, 238), (300, 168), (642, 480)]


def through(text: str, data: np.ndarray) -> np.ndarray:
    pipeline = gst.Pipeline(text)
    pipeline.start()
    try:
        assert pipeline.push(pipeline.new_buffer(data, 0))
        sample = pipeline.pull(120.0)
        assert sample is not None
        with sample:
            return sample.data.copy()
    finally:
        pipeline.stop()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_gstreamer_reads_our_planes(width: int, height: int) -> None:
    bgr = pixels_of(5, width, height)
    planes, *size = i420.from_frame(Frame.from_array(bgr, "bgr8"))
    assert size == [width, height]
    out = through(
        f"appsrc name=src format=time caps=video/x-raw,format=I420,width={width},height={height},framerate=30/1,"
        "colorimetry=bt601 ! videoconvert ! video/x-raw,format=BGRx ! appsink name=sink sync=false async=false",
        planes,
    )
    assert psnr(out.reshape(height, width, 4)[..., :3], bgr) > 38


@pytest.mark.parametrize("encoding", ["rgb8", "bgra8", "rgba8", "mono8"])
def test_other_encodings_give_the_same_planes(encoding: str) -> None:
    bgr = pixels_of(3)
    order = {"rgb8": [2, 1, 0], "bgra8": [0, 1, 2, 0], "rgba8": [2, 1, 0, 0]}
    pixels = bgr[..., order[encoding]] if encoding in order else bgr[..., 1]
    expected = bgr if encoding in order else np.repeat(bgr[..., 1:2], 3, 2)
    planes, _, _ = i420.from_frame(Frame.from_array(np.ascontiguousarray(pixels), encoding))
    assert np.array_equal(planes, i420.from_frame(Frame.from_array(expected, "bgr8"))[0])


def test_odd_sizes_lose_their_last_column_and_row() -> None:
    bgr = pixels_of(3, 321, 241)
    planes, width, height = i420.from_frame(Frame.from_array(bgr, "bgr8"))
    assert (width, height) == (320, 240)
    assert np.array_equal(planes, i420.from_frame(Frame.from_array(bgr[:240, :320], "bgr8"))[0])


def test_a_frame_in_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ImageError):
        Frame.from_array(pixels_of(1), "strange8")
