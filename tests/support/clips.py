"""Small videos for the tests, made by GStreamer on demand."""

from __future__ import annotations

from pathlib import Path

from edgecam_core.media import gst
from waiting import DISCOVERY

_MUXERS = {".mp4": "mp4mux", ".mov": "qtmux", ".mkv": "matroskamux", ".avi": "avimux"}
_ENCODERS = {
    "h265": "x265enc speed-preset=ultrafast tune=zerolatency key-int-max=10 option-string=open-gop=0 ! h265parse",
    "h264": "x264enc speed-preset=ultrafast tune=zerolatency key-int-max=10 ! h264parse",
    "jpeg": "jpegenc",
}


def make_clip(
    path: Path,
    frames: int = 20,
    rate: int = 25,
    codec: str = "h265",
    size: tuple[int, int] = (160, 120),
    pattern: str = "ball",
) -> Path:
    """``frames`` frames of a videotestsrc pattern; the suffix selects the container (.mp4, .mov, .mkv, .avi)."""
    text = (
        f"videotestsrc num-buffers={frames} pattern={pattern} "
        f"! video/x-raw,format=I420,width={size[0]},height={size[1]},framerate={rate}/1 "
        f"! {_ENCODERS[codec]} ! {_MUXERS[path.suffix]} ! filesink location={gst.quoted(str(path))}"
    )
    pipeline = gst.Pipeline(text)
    pipeline.start()
    try:
        end = pipeline.wait_for(("eos", "error"), DISCOVERY)
        assert end is not None
        assert end.kind == "eos", end.text
    finally:
        pipeline.stop()
    return path
