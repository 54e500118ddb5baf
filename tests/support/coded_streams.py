"""Real H.264 and H.265 streams for tests: encoded, split into access units, and decoded by GStreamer on demand."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import codec

RATE = 25
_ENCODERS = {"h264": "x264enc", "h265": "x265enc"}
_DECODERS = {"h264": "avdec_h264", "h265": "avdec_h265"}


@dataclass(frozen=True)
class CodedStream:
    """``units``: NAL units and presentation time (ns) of each access unit in decoding order. ``frames``: the
    encoded frames by presentation time, (H, W) uint8 luma."""

    codec: str
    units: list[tuple[list[bytes], int]]
    frames: dict[int, np.ndarray]


def encode(
    name: str, options: str, properties: str = "", count: int = 75, size: tuple[int, int] = (160, 128)
) -> CodedStream:
    """``count`` frames at 25 Hz with motion everywhere; ``options`` are those of x264 or x265."""
    row = codec(name)
    width, height = size
    text = (
        f"videotestsrc num-buffers={count} pattern=pinwheel horizontal-speed=3 ! "
        f"video/x-raw,format=I420,width={width},height={height},framerate={RATE}/1 ! tee name=t "
        f"t. ! queue max-size-buffers=0 max-size-time=0 max-size-bytes=0 ! "
        f'{_ENCODERS[name]} {properties} option-string="{options}" ! {row.parser} ! '
        f"{row.media_type},stream-format=byte-stream,alignment=au ! appsink name=coded sync=false "
        "t. ! queue max-size-buffers=0 max-size-time=0 max-size-bytes=0 ! appsink name=raw sync=false"
    )
    pipeline = gst.Pipeline(text)
    pipeline.start(timeout=0.0)
    units: list[tuple[list[bytes], int]] = []
    frames: dict[int, np.ndarray] = {}
    try:
        while (sample := pipeline.pull(120.0, "coded")) is not None:
            with sample:
                units.append((nal.split(sample.data.tobytes()), sample.pts_ns))
            if len(units) == count:
                break
        while len(frames) < count and (sample := pipeline.pull(120.0, "raw")) is not None:
            with sample:
                frames[sample.pts_ns] = luma(sample)
    finally:
        pipeline.stop()
    assert len(units) == len(frames) == count
    first = min(pts for _nals, pts in units) - min(frames)  # x264enc and x265enc shift times where they reorder
    return CodedStream(name, [(nals, pts - first) for nals, pts in units], frames)


class StreamDecoder:
    """GStreamer's software decoder; returns frames as luma, by presentation time. Its output depends only on the input:
    one thread decodes, and each access unit is completed before the next one."""

    def __init__(self, name: str) -> None:
        row = codec(name)
        self._pipeline = gst.Pipeline(
            f"appsrc name=src format=time max-bytes=0 caps={row.media_type},stream-format=byte-stream,alignment=au "
            f"! {row.parser} name=parser ! {_DECODERS[name]} max-threads=1 ! videoconvert ! video/x-raw,format=I420 "
            "! appsink name=sink sync=false"
        )
        self._gst = gst.load()
        self._decoded = threading.Semaphore(0)
        pad = self._pipeline.element("parser").get_static_pad("sink")
        pad.add_probe(self._gst.PadProbeType.EVENT_DOWNSTREAM, self._event)
        self._pipeline.start(timeout=0.0)

    def _event(self, _pad: object, info: Any) -> Any:
        if info.get_event().type != self._gst.EventType.CUSTOM_DOWNSTREAM:
            return self._gst.PadProbeReturn.OK
        self._decoded.release()  # events stay in order: all earlier input has been decoded
        return self._gst.PadProbeReturn.DROP

    def push(self, nals: list[bytes], pts: int) -> list[tuple[int, np.ndarray]]:
        """Decode one access unit; returns the frames output so far."""
        self._pipeline.push(self._pipeline.new_buffer(np.frombuffer(nal.join(nals), np.uint8), pts))
        structure = self._gst.Structure.new_empty("decoded")
        event = self._gst.Event.new_custom(self._gst.EventType.CUSTOM_DOWNSTREAM, structure)
        assert self._pipeline.element("src").send_event(event)
        assert self._decoded.acquire(timeout=120), "the decoder hangs"
        return self._frames(0.0)

    def end(self) -> list[tuple[int, np.ndarray]]:
        """End the decoder; returns its last frames."""
        try:
            self._pipeline.element("src").emit("end-of-stream")
            return self._frames(120.0)  # the end of the stream ends it
        finally:
            self._pipeline.stop()

    def _frames(self, timeout: float) -> list[tuple[int, np.ndarray]]:
        found = []
        while (sample := self._pipeline.pull(timeout)) is not None:
            with sample:
                found.append((sample.pts_ns, luma(sample)))
        return found


def psnr(left: np.ndarray, right: np.ndarray) -> float:
    """PSNR in dB of two uint8 images of the same shape."""
    error = float(np.mean((left.astype(np.float64) - right) ** 2))
    return 10 * np.log10(255**2 / max(error, 1e-9))


def luma(sample: gst.MappedSample) -> np.ndarray:
    """The Y plane of a raw sample, (H, W) uint8; a copy."""
    plane = sample.planes[0]
    rows = np.ndarray((sample.height, sample.width), np.uint8, sample.data, plane.offset, (plane.stride, 1))
    return rows.copy()
