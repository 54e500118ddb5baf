"""A colour chart in every pixel format of H.264 and H.265 through RTP: the colours are right."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from charts import chart, patches
from edgecam_core.media import gst, nal
from edgecam_core.media.binding import library
from edgecam_core.media.codecs import codec
from network import free_udp_port
from rtp_replay import Replay, Unit
from rtp_scene import receiving
from waiting import wait_until

SIZE = (256, 192)
CLOSE = 12  # levels of 255 that coding and chroma subsampling may cost
GREY = np.array([[0.114], [0.587], [0.299]])
PIXELS = ["gray", "gray10le", "yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuvj420p"]
ENCODERS = {
    "h264": "libx264 -x264-params scenecut=0:keyint=4:bframes=0",
    "h265": "libx265 -x265-params log-level=0:scenecut=0:keyint=4:bframes=0:open-gop=0",
}

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@functools.cache
def coded(name: str, pixels: str, folder: Path) -> list[Unit]:
    """Twelve access units of the chart as ffmpeg's encoders make them."""
    image, stream = folder / "chart.png", folder / f"{pixels}.{name}"
    cv2.imwrite(str(image), chart(SIZE))
    full = pixels.startswith("yuvj")
    colours = [] if pixels.startswith("gray") else [
        "-vf", f"scale=out_color_matrix=bt601:out_range={'full' if full else 'limited'}",
        "-colorspace", "smpte170m", "-color_range", "pc" if full else "tv",
    ]  # fmt: skip
    command = ["ffmpeg", "-v", "error", "-loop", "1", "-i", str(image), "-frames:v", "12", *colours,
               "-c:v", *ENCODERS[name].split(), "-b:v", "4M", "-pix_fmt", pixels,
               "-f", {"h264": "h264", "h265": "hevc"}[name], str(stream)]  # fmt: skip
    subprocess.run(command, check=True, timeout=60)
    row = codec(name)
    pipeline = gst.Pipeline(
        f"filesrc location={stream} ! {row.parser} ! {row.media_type},stream-format=byte-stream,alignment=au ! "
        "appsink name=sink sync=false"
    )
    pipeline.start()
    units: list[Unit] = []
    while len(units) < 12:
        sample = pipeline.pull(120.0)
        assert sample is not None
        with sample:
            units.append(Unit(nal.split(sample.data.tobytes()), len(units)))
    pipeline.stop()
    return units


REFUSED = {("h265", "gray10le"): "10-bit monochrome video is not supported"}
if library("GstVideo").VideoFormat.from_string("GRAY10_LE16") != library("GstVideo").VideoFormat.UNKNOWN:
    REFUSED.clear()  # GStreamer 1.26 supports it


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize("name", ENCODERS)
def test_colours_through_rtp(name: str, pixels: str, tmp_path: Path) -> None:
    units = coded(name, pixels, tmp_path)
    port = free_udp_port()
    with receiving(port, codec=name, feedback=False) as (receiver, reader):
        replay = Replay(port, name)
        for turn in range(5):
            for unit in units:
                replay.send(Unit(unit.nals, unit.number + 12 * turn))
            if reader.newest is not None:
                break
        replay.close()
        if reason := REFUSED.get((name, pixels)):
            wait_until(lambda: any(reason in what for what in receiver.stats().errors), what="the reason")
            return
        wait_until(lambda: reader.newest is not None, what=f"a frame; {receiver.stats().errors}")
    assert reader.newest is not None
    expected = patches(chart(SIZE))
    if pixels.startswith("gray"):
        expected = np.repeat(expected @ GREY, 3, axis=1)
    assert np.abs(patches(reader.newest.bgr()) - expected).max() < CLOSE
