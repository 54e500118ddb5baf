"""A colour chart in every codec, pixel format and container that can be encoded here, read by the camera.

Formats that the camera cannot read are named in its error. ffmpeg encodes what GStreamer's encoders cannot.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from charts import VideoFormat, chart, patches, write
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.media import gst

_X264 = "x264enc tune=zerolatency bitrate=4000 ! h264parse"
_X265 = "x265enc tune=zerolatency speed-preset=ultrafast bitrate=4000 ! h265parse"
_VP8 = "vp8enc deadline=1 target-bitrate=4000000"
_VP9 = "vp9enc deadline=1 target-bitrate=4000000"
_JPEG = "jpegenc quality=95"
_FULL = "1:4:0:0"  # as in JPEG: BT.601 in full range
_CLOSE = 10
"""Levels of 255 that coding and chroma subsampling may cost."""


def kind(
    encoder: str, pixels: str, muxer: str, colorimetry: str = "", size: tuple[int, int] = (256, 192)
) -> VideoFormat:
    suffix = {"mp4mux": ".mp4", "qtmux": ".mov", "matroskamux": ".mkv", "avimux": ".avi", "mpegtsmux": ".ts",
              "flvmux": ".flv", "webmmux": ".webm"}[muxer]  # fmt: skip
    caps = f"video/x-raw,format={pixels}" + (f",colorimetry={colorimetry}" if colorimetry else "")
    return VideoFormat(encoder, caps, muxer, suffix, size, pixels.startswith("GRAY"))


_X264_FORMATS = ("Y42B", "Y444", "I420_10LE", "I422_10LE", "Y444_10LE")
_X265_FORMATS = ("Y42B", "Y444", "I420_10LE", "Y444_10LE", "I420_12LE")
KINDS = [
    *(kind(_X264, "I420", muxer, "bt709") for muxer in ("mp4mux", "qtmux", "matroskamux", "avimux", "mpegtsmux")),
    kind(_X264, "I420", "flvmux", "bt709"),
    *(kind(_X264, "I420", "mp4mux", colorimetry) for colorimetry in ("bt601", "bt2020")),
    *(kind(_X264, pixels, "matroskamux", "bt709") for pixels in _X264_FORMATS),
    *(kind(_X265, "I420", muxer, "bt709") for muxer in ("mp4mux", "qtmux", "mpegtsmux")),
    *(kind(_X265, "I420", "matroskamux", colorimetry) for colorimetry in ("bt601", "bt2020", _FULL, "1:3:5:1")),
    *(kind(_X265, pixels, "matroskamux", "bt709") for pixels in _X265_FORMATS),
    kind(_VP8, "I420", "webmmux", "bt601"),
    kind(_VP8, "I420", "webmmux", "bt601", (255, 191)),
    *(kind(_VP9, "I420", "webmmux", colorimetry) for colorimetry in ("bt601", "bt709", _FULL)),
    *(kind(_VP9, pixels, "webmmux", "bt709") for pixels in ("Y444", "I420_10LE")),
    *(kind(_JPEG, "I420", muxer, _FULL) for muxer in ("avimux", "qtmux", "matroskamux")),
    kind(_JPEG, "Y444", "avimux", _FULL),
    kind(_JPEG, "GRAY8", "avimux"),
    kind(_JPEG, "I420", "avimux", _FULL, (255, 191)),
    kind("avenc_mpeg4 bitrate=4000000", "I420", "mp4mux"),
    *(kind("avenc_ffv1", pixels, "matroskamux") for pixels in ("I420", "BGRA", "GRAY8", "I420_10LE")),
    kind("avenc_prores_ks", "I422_10LE", "qtmux"),
    kind("pngenc", "RGBA", "qtmux"),
    kind("identity", "I420", "avimux"),
    kind("identity", "I420", "matroskamux", "", (255, 191)),
    *(kind("identity", pixels, "qtmux") for pixels in ("UYVY", "v210", "RGB")),
    kind("identity", "GRAY8", "matroskamux"),
]  # fmt: skip
_FULL_709 = "-vf scale=out_range=full:out_color_matrix=bt709 -color_range pc -colorspace bt709"
_X265_FFMPEG = "libx265 -x265-params log-level=0"
FFMPEG = [
    ("libx264 -pix_fmt gray", "mp4"),
    (f"{_X265_FFMPEG} -pix_fmt gray", "mkv"),
    (f"libx264 -pix_fmt yuv420p {_FULL_709}", "mp4"),
    ("mpeg2video -b:v 4M", "ts"),
    ("mpeg2video -b:v 4M -pix_fmt yuv422p", "mpg"),
    ("prores_ks -pix_fmt yuva444p10le", "mov"),
    ("qtrle -pix_fmt argb", "mov"),
    ("rawvideo -pix_fmt yuyv422", "avi"),
    ("ffv1 -pix_fmt gray16le", "mkv"),
    (f"{_X265_FFMPEG} -pix_fmt gbrp", "mkv"),
    ("libx264 -pix_fmt yuvj444p", "mp4"),
    (f"{_X265_FFMPEG} -pix_fmt yuvj422p", "mkv"),
    ("libvpx -auto-alt-ref 0 -b:v 4M -deadline realtime -pix_fmt yuva420p", "webm"),
    ("libvpx-vp9 -b:v 4M -deadline realtime -cpu-used 8 -pix_fmt yuva420p", "webm"),
    ("libvpx-vp9 -b:v 4M -deadline realtime -cpu-used 8 -pix_fmt gbrp", "mkv"),
    ("libopenjpeg -pix_fmt yuv420p", "mov"),
    ("ffv1 -pix_fmt bgra", "avi"),
    ("huffyuv -pix_fmt rgb24", "avi"),
]
_AOM = "libaom-av1 -cpu-used 8 -usage realtime -b:v 4M"
_NO_NAME = "decodes to a pixel format that GStreamer has no name for"
REFUSED = [
    ("libx264 -pix_fmt gray10le", "mkv", "10-bit monochrome video is not supported"),
    (f"{_X265_FFMPEG} -pix_fmt gray12le", "mkv", "12-bit monochrome video is not supported"),
    *((f"ffv1 -pix_fmt {pixels}", "mkv", _NO_NAME) for pixels in ("gray10le", "yuva444p", "yuv420p16le", "rgb48le")),
    (f"{_AOM} -pix_fmt gbrp", "mp4", "AV1 video in RGB is not supported"),
    (f"{_AOM} -pix_fmt gbrp10le", "webm", "AV1 video in RGB is not supported"),
    ("libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv440p", "webm", "VP9 video with 4:4:0 chroma"),
    ("png -pix_fmt rgb48be", "mov", "16-bit PNG video"),
    ("smc -pix_fmt pal8", "mov", "QuickTime Graphics (smc) is not supported"),
    ("magicyuv -pix_fmt gbrp", "avi", "no decoder for the AVI format 'M8RG'"),
    ("vc2 -pix_fmt yuv420p", "mkv", "no decoder for Dirac (video/x-dirac)"),
]
"""What ffmpeg makes, the suffix, and what the camera says about it. A newer GStreamer may show the right colours."""


def seen(path: Path, views: list[str] | None = None, **settings: object) -> tuple[np.ndarray | None, str]:
    """The first frame that the camera reads from a file, (H, W, 3) uint8 BGR, or None and the error.

    ``views`` receives the rotation of the frame.
    """
    images: list[np.ndarray] = []
    problems: list[str] = []
    done = threading.Event()

    def take(frame: CapturedFrame) -> None:
        if not images:
            images.append(frame.frame("bgr8").array().copy())
            if views is not None:
                views.append(frame.view)
        done.set()

    def note(is_problem: bool, text: str) -> None:
        if is_problem:
            problems.append(text)
            done.set()

    camera = Camera(CameraSettings.from_mapping({"source": f"file://{path}", **settings}), take, on_event=note)
    camera.start()
    try:
        assert done.wait(60)
    finally:
        camera.stop()
    return (images[0] if images else None), " ".join(problems)


def difference(image: np.ndarray, size: tuple[int, int], grey: bool) -> float:
    """The difference of the worst patch from the chart, in levels of 255."""
    expected = patches(chart(size))
    if grey:
        expected = np.repeat(expected @ np.array([[0.114], [0.587], [0.299]]), 3, axis=1)
    return float(np.abs(patches(image) - expected).max())


@pytest.mark.parametrize("made", KINDS, ids=lambda made: made.name.replace("video/x-raw,", ""))
def test_colours_are_those_of_the_chart(made: VideoFormat, tmp_path: Path) -> None:
    path = tmp_path / f"chart{made.suffix}"
    write(made, path)
    image, problem = seen(path)
    assert image is not None, problem
    assert image.shape == (made.size[1], made.size[0], 3)
    assert difference(image, made.size, made.grey) < _CLOSE


def ffmpeg(arguments: str, path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    still = path.with_suffix(".still.png")
    cv2.imwrite(str(still), chart((256, 192)))
    command = f"ffmpeg -v error -y -loop 1 -r 10 -t 1 -i {still} -c:v {arguments} {path}"
    subprocess.run(command.split(), check=True, timeout=60)


@pytest.mark.parametrize(("arguments", "suffix"), FFMPEG)
def test_streams_that_only_ffmpeg_encodes_have_the_charts_colours(arguments: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"chart.{suffix}"
    ffmpeg(arguments, path)
    image, problem = seen(path)
    assert image is not None, problem
    assert difference(image, (256, 192), "gray" in arguments) < _CLOSE


@pytest.mark.parametrize(("arguments", "suffix", "reported"), REFUSED)
def test_formats_that_the_decoders_get_wrong_are_refused_by_name(
    arguments: str, suffix: str, reported: str, tmp_path: Path
) -> None:
    """Decoders of GStreamer 1.22 crash the process or show wrong colours with these."""
    path = tmp_path / f"chart.{suffix}"
    ffmpeg(arguments, path)
    image, problem = seen(path)
    if image is None:
        assert reported in problem
    else:
        assert difference(image, (256, 192), "gray" in arguments) < _CLOSE


_ONE, _W, _H = 1 << 16, 256 << 16, 192 << 16
# The matrix a, b, c, d, x, y of the movie (ISO/IEC 14496-12, 6.2.2), and the expected transformation.
TURNED = {
    "clockwise": ((0, _ONE, -_ONE, 0, _H, 0), lambda image: np.rot90(image, -1)),
    "rotate-180": ((-_ONE, 0, 0, -_ONE, _W, _H), lambda image: np.rot90(image, 2)),
    "counterclockwise": ((0, -_ONE, _ONE, 0, 0, _W), lambda image: np.rot90(image)),
    "horizontal-flip": ((-_ONE, 0, 0, _ONE, _W, 0), lambda image: image[:, ::-1]),
    "vertical-flip": ((_ONE, 0, 0, -_ONE, 0, _H), lambda image: image[::-1]),
    "upper-left-diagonal": ((0, _ONE, _ONE, 0, 0, 0), lambda image: image.transpose(1, 0, 2)),
}

MIRRORED = ("horizontal-flip", "vertical-flip", "upper-left-diagonal")


@pytest.mark.parametrize("muxer", ["mp4mux", "qtmux"])
@pytest.mark.parametrize("turn", TURNED)
def test_the_rotation_tag_turns_the_frames(turn: str, muxer: str, tmp_path: Path) -> None:
    made = kind(_X264, "I420", muxer, "bt709")
    path = tmp_path / f"turned{made.suffix}"
    write(made, path)
    (a, b, c, d, x, y), turned = TURNED[turn]
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4 + 4 + (32 if data[data.find(b"tkhd") + 4] else 20) + 16
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(data)
    expected = turned(chart(made.size))
    views: list[str] = []
    image, problem = seen(path, views)
    assert image is not None, problem
    if views != [turn] and turn in MIRRORED and gst.version() < (1, 24):
        pytest.skip("this qtdemux does not read mirrored tracks (Debian's does from 1.22.0-5+deb12u4 on)")
    assert image.shape == expected.shape
    assert views == [turn]
    assert np.abs(image.astype(int) - expected).mean() < 3
    stored, _problem = seen(path, orientation="ignore")
    assert stored is not None
    assert np.abs(stored.astype(int) - chart(made.size)).mean() < 3


@pytest.mark.parametrize(
    ("coded", "suffix"),
    [("libx264 -flags +ilme+ildct -x264opts tff=1", "mp4"), ("mpeg2video -b:v 6M -flags +ilme+ildct -top 1", "ts")],
)
def test_interlaced_frames_are_deinterlaced(coded: str, suffix: str, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / f"interlaced.{suffix}"
    scene = "-f lavfi -i testsrc2=s=320x240:r=50 -t 1 -vf scroll=h=0.03,tinterlace=4,setfield=tff"
    command = f"ffmpeg -v error -y {scene} -c:v {coded} -pix_fmt yuv420p {path}"
    subprocess.run(command.split(), check=True, timeout=60)

    def combing(deinterlace: str) -> float:
        image, problem = seen(path, deinterlace=deinterlace)
        assert image is not None, problem
        rows = image.astype(int)
        return float(np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean())

    assert combing("auto") < combing("never") / 4
