"""Colours: every native format, matrix, range, padding and odd size against GStreamer's own converter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from edgecam_core.errors import ImageError
from edgecam_core.media import gst
from edgecam_core.media.colour import RawVideo, convert, linear_map

FORMATS = ("I420", "NV12", "YUY2", "UYVY", "BGR", "RGB", "BGRx", "RGBx", "BGRA", "RGBA", "GRAY8")


def both_ways(caps: str, width: int, height: int, target: str = "BGR") -> tuple[np.ndarray, gst.MappedSample]:
    """A smooth frame converted by GStreamer, and the same sample for our conversion."""
    source = f"videotestsrc num-buffers=1 pattern=gradient ! video/x-raw,format=I420,width={width},height={height}"
    if "GRAY8" not in caps:  # colours change slowly, so that chroma siting does not matter
        source = source.replace("gradient", "solid-color foreground-color=0xff3070c0")
    pipeline = gst.Pipeline(
        f"{source} ! videoconvert ! {caps},width={width},height={height} ! tee name=t "
        f"t. ! queue ! videoconvert dither=none ! video/x-raw,format={target} ! appsink name=expected sync=false "
        "t. ! queue ! appsink name=sink sync=false"
    )
    pipeline.start()
    try:
        expected, native = pipeline.pull(120, "expected"), pipeline.pull(120)
        assert expected is not None
        assert native is not None
        channels = 1 if target == "GRAY8" else 3
        pixels = np.array(
            np.ndarray((height, width * channels), np.uint8, expected.data, 0, (expected.planes[0].stride, 1))
        )
        return pixels.reshape((height, width, 3) if channels == 3 else (height, width)), native
    finally:
        pipeline.stop()


def converted(sample: gst.MappedSample, encoding: str) -> np.ndarray:
    shape = (sample.height, sample.width) if encoding == "mono8" else (sample.height, sample.width, 3)
    out = np.full(shape, 77, np.uint8)
    raw = RawVideo(
        sample.width, sample.height, sample.format, sample.planes, sample.data, sample.matrix, sample.full_range
    )
    convert(raw, encoding, out)
    return out


@pytest.mark.parametrize("size", [(64, 48), (322, 50), (37, 21), (61, 40)])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_format_and_size_gives_gstreamers_colours(pixel_format: str, size: tuple[int, int]) -> None:
    expected, sample = both_ways(f"video/x-raw,format={pixel_format}", *size)
    got = converted(sample, "bgr8")
    assert np.abs(got.astype(int) - expected).max() <= 3
    assert np.array_equal(converted(sample, "rgb8"), got[:, :, ::-1])


@pytest.mark.parametrize("size", [(64, 48), (37, 21), (8, 1)])
@pytest.mark.parametrize("colorimetry", ["bt601", "bt709", "bt2020", "1:4:0:0"])
@pytest.mark.parametrize("pixel_format", ["I420", "NV12", "YUY2"])
def test_hd_and_jpeg_colours_are_not_read_as_bt601(pixel_format: str, colorimetry: str, size: tuple[int, int]) -> None:
    # With its default settings videoconvert does not convert transfer function and primaries either.
    expected, sample = both_ways(f"video/x-raw,format={pixel_format},colorimetry={colorimetry}", *size)
    assert np.abs(converted(sample, "bgr8").astype(int) - expected).max() <= 4


def exact(yuv: np.ndarray, matrix: str, full_range: bool) -> np.ndarray:
    """BGR in 0..255 of Y, U and V at full size, (H, W, 3), from the definition in ITU-R BT.601, 709 and 2020."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    black, luma, chroma = (0, 255, 255) if full_range else (16, 219, 224)
    y = (yuv[..., 0] - float(black)) * 255 / luma
    u, v = ((yuv[..., i] - 128.0) * 255 / chroma for i in (1, 2))
    b, r = y + 2 * (1 - blue) * u, y + 2 * (1 - red) * v
    return np.clip(np.stack([b, (y - red * r - blue * b) / (1 - red - blue), r], -1), 0, 255)


def noise(width: int, height: int, padding: int, pixel_format: str = "I420") -> tuple[RawVideo, np.ndarray]:
    """Random colours of every level in rows with ``padding`` bytes, and their Y, U and V at full size."""
    rng = np.random.default_rng(width)
    y = rng.integers(0, 256, (height, width + padding), np.uint8)
    uv = rng.integers(0, 256, (height // 2, width // 2 + padding, 2), np.uint8)
    u, v = np.ascontiguousarray(uv[..., 0]), np.ascontiguousarray(uv[..., 1])
    parts = [y, u, v] if pixel_format == "I420" else [y, uv.reshape(height // 2, -1)]
    at = np.cumsum([0, *(part.size for part in parts)])
    planes = [gst.Plane(int(offset), part.shape[1]) for offset, part in zip(at, parts, strict=False)]
    data = np.concatenate([part.reshape(-1) for part in parts])
    wide = [part[:, : width // 2].repeat(2, 0).repeat(2, 1) for part in (u, v)]
    return RawVideo(width, height, pixel_format, planes, data), np.stack([y[:, :width], *wide], -1)


@pytest.mark.parametrize("pixel_format", ["I420", "NV12"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("width", [64, 96, 98, 1920])
def test_every_pixel_of_noise_is_exact_and_none_is_written_out_of_bounds(
    pixel_format: str, matrix: str, full_range: bool, width: int
) -> None:
    frame, yuv = noise(width, 6, 32, pixel_format)
    frame = replace(frame, matrix=matrix, full_range=full_range)
    definition = exact(yuv, matrix, full_range)
    legal = np.all(
        (definition > 0) & (definition < 255), -1
    )  # 8-bit intermediate planes clip colours outside the gamut
    for encoding in ("bgr8", "rgb8"):
        memory = np.full(6 * width * 3 + 64, 77, np.uint8)
        convert(frame, encoding, memory[: 6 * width * 3].reshape(6, width, 3))
        got = memory[: 6 * width * 3].reshape(6, width, 3)[:, :, :: 1 if encoding == "bgr8" else -1]
        assert np.abs(got - definition)[legal].max() <= 3
        assert np.all(memory[6 * width * 3 :] == 77)


def test_threads_can_convert_concurrently() -> None:
    frame, _yuv = noise(640, 480, 0)
    frame = replace(frame, matrix="bt709")
    first = np.empty((480, 640, 3), np.uint8)
    convert(frame, "bgr8", first)

    def many(_number: int) -> bool:
        out = np.empty_like(first)
        for _ in range(20):
            convert(frame, "bgr8", out)
        return np.array_equal(out, first)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, range(8)))


@pytest.mark.parametrize("pixel_format", ["I420", "YUY2", "GRAY8", "BGR"])
def test_grey_reaches_from_black_to_white(pixel_format: str) -> None:
    expected, sample = both_ways(f"video/x-raw,format={pixel_format}", 64, 48, "GRAY8")
    assert np.abs(converted(sample, "mono8").astype(int) - expected).max() <= 3


def test_rows_are_padded_in_memory_but_not_in_the_frame() -> None:
    _, sample = both_ways("video/x-raw,format=BGR", 321, 20)
    assert sample.planes[0].stride == 964
    assert converted(sample, "bgr8").strides[0] == 963


def test_bt601_in_video_range_needs_no_conversion() -> None:
    matrix, offset = linear_map("bt601", False)
    assert np.allclose(matrix, np.eye(3))
    assert np.allclose(offset, 0)


def test_too_short_a_buffer_is_refused() -> None:
    planes = (gst.Plane(0, 64), gst.Plane(3072, 32), gst.Plane(3840, 32))
    frame = RawVideo(64, 48, "I420", planes, np.zeros(4000, np.uint8))
    with pytest.raises(ImageError, match="too short for plane 2"):
        convert(frame, "bgr8", np.empty((48, 64, 3), np.uint8))
