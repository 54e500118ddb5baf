"""Writing a camera's pictures to video files that stay playable whatever happens."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from edgecam_core import gst
from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.rtp import encoders

CODED = ("video/x-h264", "video/x-h265")
# mkv can be played up to wherever it was cut off; mp4 only when it is written in fragments.
_MUXERS = {
    "mkv": "muxer-factory=matroskamux",
    "mp4": 'muxer-factory=mp4mux muxer-properties="properties,fragment-duration=(uint)1000"',
}
_KEYFRAMES = 30
_STEP_BACK_NS = 1_000_000_000
_NO_RATE = ", framerate=(fraction)0/1"
_RATE = re.compile(r"framerate=\(fraction\)[1-9]")


class RecordError(EdgecamError):
    """A recording could not be begun or written."""


@dataclass(frozen=True)
class RecordSettings:
    """``form`` is mkv or mp4; a new file begins after ``split_seconds`` or ``split_mb`` (0: never); ``bitrate`` in
    bit/s and ``encoder`` are for sources that are not coded yet."""

    directory: Path
    name: str
    form: str = "mkv"
    split_seconds: float = 0.0
    split_mb: float = 0.0
    encoder: str = "auto"
    bitrate: int = 4_000_000


def pipeline_text(media_type: str, settings: RecordSettings, pattern: str) -> str:
    """The launch text from an appsrc named ``src`` to the files; coded video is not coded again.

    Raises:
        SettingError, MissingDependency: the encoder cannot be had.
    """
    location = gst.quoted(str(settings.directory / pattern))
    split = f"max-size-time={int(settings.split_seconds * 1e9)} max-size-bytes={int(settings.split_mb * 1e6)}"
    sink = f"splitmuxsink name=files location={location} {split} {_MUXERS[settings.form]}"
    if media_type in CODED:
        parser = "h264parse" if media_type == "video/x-h264" else "h265parse"
        return f"appsrc name=src format=time ! {parser} ! {sink}"
    row = encoders.choose(settings.encoder, "h265")
    encode = row.text(encoders.Request(settings.bitrate, _KEYFRAMES))
    decode = "jpegdec ! " if media_type == "image/jpeg" else ""
    # An encoder that is too slow costs pictures, never the camera's time.
    return (
        "appsrc name=src format=time ! queue leaky=downstream max-size-buffers=10 max-size-bytes=0 max-size-time=0 "
        f"! {decode}videoconvert ! video/x-raw,format=I420 ! {encode} ! h265parse ! {sink}"
    )


class Recorder:
    """One recording. ``push`` is called on the camera's thread and never waits; ``close`` ends the recording.

    When the camera was lost and found again, or its pictures change, another file begins.

    Raises:
        RecordError: the folder cannot be written.
        SettingError, MissingDependency: the encoder cannot be had.
    """

    def __init__(self, settings: RecordSettings) -> None:
        try:
            settings.directory.mkdir(parents=True, exist_ok=True)
            probe = settings.directory / f".{settings.name}.part"
            probe.touch()
            probe.unlink()
        except OSError as error:
            remedy = f"cannot be written ({error.strerror}); choose another folder"
            raise SettingError("output_directory", str(settings.directory), remedy) from error
        self.settings = settings
        self.pictures = 0
        self.error = ""
        self._lock = threading.Lock()
        self._pipeline: gst.Pipeline | None = None
        self._caps = ""
        self._parts = 0
        self._base = self._last = -1
        self._closed = False
        self._names: list[str] = []

    def push(self, sample: gst.Sample) -> None:
        """Write one picture, coded or raw; what comes before the first key frame is left out."""
        with self._lock:
            if self._closed or self.error:
                return
            try:
                self._write(sample)
                self._watch(self._pipeline)
            except EdgecamError as error:
                self.error = str(error)

    def close(self, timeout: float = 10.0) -> list[Path]:
        """End the recording and give its files, oldest first. Blocks until they are complete, up to ``timeout`` s."""
        with self._lock:
            self._closed = True
            self._finish(timeout)
            return [Path(name) for name in self._names]

    def _write(self, sample: gst.Sample) -> None:
        caps = sample.raw.get_caps().to_string()
        # The pipeline's time starts over when the camera was opened again; B-frames step back by a few pictures only.
        if caps != self._caps or sample.pts_ns < self._last - _STEP_BACK_NS:
            self._finish(5.0)
            if sample.media_type in CODED and _is_delta(sample):
                return
            self._begin(sample, caps)
        assert self._pipeline is not None
        self._last = max(self._last, sample.pts_ns)
        buffer = sample.buffer.copy()  # shares the picture's memory
        shift = self._base - sample.pts_ns
        if sample.buffer.dts != gst.load().CLOCK_TIME_NONE:
            buffer.dts = max(0, sample.buffer.dts - sample.buffer.pts - shift)
        buffer.pts = max(0, sample.pts_ns - self._base)
        self._pipeline.push(buffer)
        self.pictures += 1

    def _begin(self, sample: gst.Sample, caps: str) -> None:
        self._parts += 1
        stamp = time.strftime("%Y%m%dT%H%M%S")
        pattern = f"{self.settings.name}_{stamp}_{self._parts}_%03d.{self.settings.form}"
        self._pipeline = gst.Pipeline(pipeline_text(sample.media_type, self.settings, pattern))
        # Else the last 64 KiB, which can be many seconds, would be lost in a crash.
        self._pipeline.element("files").set_property("sink", gst.make("filesink", "buffer-mode", "unbuffered"))
        # Pictures of no fixed rate keep their times, but encoders want to be told some rate.
        rated = caps if _RATE.search(caps) else caps.replace(_NO_RATE, "") + ", framerate=(fraction)30/1"
        self._pipeline.element("src").set_property("caps", gst.load().Caps.from_string(rated))
        self._pipeline.start(timeout=0.0)
        self._caps, self._base, self._last = caps, sample.pts_ns, sample.pts_ns

    def _watch(self, pipeline: gst.Pipeline | None) -> None:
        for message in pipeline.messages() if pipeline else ():
            self._note(message)

    def _note(self, message: gst.Message) -> None:
        if message.kind == "error":
            self.error = message.text
        elif message.name == "splitmuxsink-fragment-opened":
            self._names.append(message.fields["location"])

    def _finish(self, timeout: float) -> None:
        if self._pipeline is None:
            return
        pipeline, self._pipeline, self._caps = self._pipeline, None, ""
        pipeline.element("src").emit("end-of-stream")
        end = time.monotonic() + timeout
        ended = False
        while not ended and not self.error and time.monotonic() < end:
            for message in pipeline.messages(0.1):
                self._note(message)
                ended = ended or message.kind == "eos"
        pipeline.stop()


def _is_delta(sample: gst.Sample) -> bool:
    return bool(sample.buffer.has_flags(gst.load().BufferFlags.DELTA_UNIT))
