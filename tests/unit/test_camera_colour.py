"""Colours: every native format, matrix, range, padding and odd size against GStreamer's own converter."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media import gst
from edgecam_core.media.colour import RawVideo, convert, linear_map

FORMATS = ("I420", "NV12", "YUY2", "UYVY", "BGR", "RGB", "BGRx", "RGBx", "BGRA", "RGBA", "GRAY8")


def both_ways(caps: str, width: int, height: int, target: str = "BGR") -> tuple[np.ndarray, gst.Sample]:
    """The same smooth frame as GStreamer converts it, and the sample to convert here."""
    source = f"videotestsrc num-buffers=1 pattern=gradient ! video/x-raw,format=I420,width={width},height={height}"
    if "GRAY8" not in caps:  # colours that change slowly, so that chroma siting plays no part
        source = source.replace("gradient", "solid-color foreground-color=0xff3070c0")
    pipeline = gst.Pipeline(
        f"{source} ! videoconvert ! {caps},width={width},height={height} ! tee name=t "
        f"t. ! queue ! videoconvert dither=none ! video/x-raw,format={target} ! appsink name=wanted sync=false "
        "t. ! queue ! appsink name=sink sync=false"
    )
    pipeline.start()
    try:
        wanted, native = pipeline.pull(10, "wanted"), pipeline.pull(10)
        assert wanted is not None
        assert native is not None
        channels = 1 if target == "GRAY8" else 3
        pixels = np.array(
            np.ndarray((height, width * channels), np.uint8, wanted.data, 0, (wanted.planes[0].stride, 1))
        )
        return pixels.reshape((height, width, 3) if channels == 3 else (height, width)), native
    finally:
        pipeline.stop()


def converted(sample: gst.Sample, encoding: str) -> np.ndarray:
    shape = (sample.height, sample.width) if encoding == "mono8" else (sample.height, sample.width, 3)
    out = np.full(shape, 77, np.uint8)
    raw = RawVideo(
        sample.width, sample.height, sample.format, sample.planes, sample.data, sample.matrix, sample.full_range
    )
    convert(raw, encoding, out)
    return out


@pytest.mark.parametrize("size", [(64, 48), (322, 50), (37, 21), (61, 40)])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_and_size_gives_gstreamers_colours(form: str, size: tuple[int, int]) -> None:
    wanted, sample = both_ways(f"video/x-raw,format={form}", *size)
    got = converted(sample, "bgr8")
    assert np.abs(got.astype(int) - wanted).max() <= 3
    assert np.array_equal(converted(sample, "rgb8"), got[:, :, ::-1])


@pytest.mark.parametrize("size", [(64, 48), (37, 21), (8, 1)])
@pytest.mark.parametrize("colorimetry", ["bt601", "bt709", "bt2020", "1:4:0:0"])
@pytest.mark.parametrize("form", ["I420", "NV12", "YUY2"])
def test_hd_and_jpeg_colours_are_not_read_as_bt601(form: str, colorimetry: str, size: tuple[int, int]) -> None:
    # The transfer function and primaries are left alone by videoconvert's default settings too.
    wanted, sample = both_ways(f"video/x-raw,format={form},colorimetry={colorimetry}", *size)
    assert np.abs(converted(sample, "bgr8").astype(int) - wanted).max() <= 4


@pytest.mark.parametrize("form", ["I420", "YUY2", "GRAY8", "BGR"])
def test_grey_reaches_from_black_to_white(form: str) -> None:
    wanted, sample = both_ways(f"video/x-raw,format={form}", 64, 48, "GRAY8")
    assert np.abs(converted(sample, "mono8").astype(int) - wanted).max() <= 3


def test_rows_are_padded_in_memory_but_not_in_the_frame() -> None:
    _, sample = both_ways("video/x-raw,format=BGR", 321, 20)
    assert sample.planes[0].stride == 964
    assert converted(sample, "bgr8").strides[0] == 963


def test_the_same_colours_need_no_map() -> None:
    matrix, offset = linear_map("bt601", False)
    assert np.allclose(matrix, np.eye(3))
    assert np.allclose(offset, 0)


def test_too_short_a_buffer_is_refused() -> None:
    planes = (gst.Plane(0, 64), gst.Plane(3072, 32), gst.Plane(3840, 32))
    frame = RawVideo(64, 48, "I420", planes, np.zeros(4000, np.uint8))
    with pytest.raises(ImageError, match="too short for plane 2"):
        convert(frame, "bgr8", np.empty((48, 64, 3), np.uint8))
