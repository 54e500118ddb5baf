# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Records the frames of a camera to video files that remain playable after a crash."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.files import create
from edgecam_core.media import encoders, gst

CODED = ("video/x-h264", "video/x-h265")
# A truncated mkv is playable to its end; a truncated mp4 only if it is fragmented.
_MUXERS = {
    "mkv": "muxer-factory=matroskamux",
    "mp4": 'muxer-factory=mp4mux muxer-properties="properties,fragment-duration=(uint)1000"',
}
_KEYFRAMES = 30
# Queue limits before the encoder or the disk: bytes of coded video (several minutes), number of raw frames.
_WAITING_CODED = 64_000_000
_WAITING_FRAMES = 10
_STEP_BACK_NS = 1_000_000_000
_FINISH = 10.0  # seconds without progress, after which a file is given up
_INCOMPLETE = "the file was not complete after {:g} s without progress: frames at its end are missing"
_NO_RATE = ", framerate=(fraction)0/1"
_RATE = re.compile(r"framerate=\(fraction\)[1-9]")


class RecordError(EdgecamError):
    """A recording could not be started or written."""


@dataclass(frozen=True)
class RecordSettings:
    """Settings of one recording.

    ``container`` is mkv or mp4. A new file starts after ``split_seconds`` or ``split_mb`` (0: never). ``encoder`` and
    ``bitrate`` (bit/s) apply to sources other than H.264 and H.265.
    """

    directory: Path
    name: str
    container: str = "mkv"
    split_seconds: float = 0.0
    split_mb: float = 0.0
    encoder: str = "auto"
    bitrate: int = 4_000_000


def pipeline_text(media_type: str, settings: RecordSettings) -> str:
    """The launch text from an appsrc named ``src`` to the files. Coded video is not re-encoded.

    Raises:
        SettingError, MissingDependency: the encoder is not available.
    """
    split = f"max-size-time={int(settings.split_seconds * 1e9)} max-size-bytes={int(settings.split_mb * 1e6)}"
    sink = f"splitmuxsink name=files {split} {_MUXERS[settings.container]}"
    if media_type in CODED:
        parser = "h264parse" if media_type == "video/x-h264" else "h265parse"
        return f"appsrc name=src format=time ! {parser} ! {sink}"
    row = encoders.choose(settings.encoder, "h265")
    encode = row.text(encoders.EncoderRequest(settings.bitrate, _KEYFRAMES))
    decode = "jpegdec ! " if media_type == "image/jpeg" else ""
    return (
        f"appsrc name=src format=time ! {decode}videoconvert ! video/x-raw,format=I420 ! {encode} ! h265parse ! {sink}"
    )


class VideoRecorder:
    """One recording. ``push`` is called on the camera's thread and never blocks; ``close`` ends the recording.

    A new file starts when the camera is reopened or its format changes. ``frames`` counts the written frames,
    ``dropped`` those lost because the encoder or the disk was too slow.

    Raises:
        SettingError: the folder is not writable.
    """

    def __init__(self, settings: RecordSettings) -> None:
        import tempfile

        try:
            settings.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=settings.directory):
                pass
        except OSError as error:
            remedy = f"cannot be written ({error.strerror}); choose another folder"
            raise SettingError("output_directory", str(settings.directory), remedy) from error
        self.settings = settings
        self.frames = self.dropped = 0
        self.error = ""
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._ended: list[tuple[_Run, threading.Thread]] = []
        self._closed = False

    def push(self, sample: gst.MappedSample) -> None:
        """Write one frame or access unit; access units before the first keyframe are skipped.

        An error ends the recording and is stored in ``error``.
        """
        with self._lock:
            if self._closed or self.error:
                return
            try:
                self._write(sample)
            except EdgecamError as error:
                self.error = str(error)
                self._end_run()

    def close(self) -> list[Path]:
        """End the recording and return its files, oldest first. Blocks until they are complete or grow no more.

        ``error`` then says why a file is not complete, empty if all are.
        """
        with self._lock:
            self._closed = True
            self._end_run()
        for run, thread in self._ended:
            while thread.is_alive() and run.idle() < _FINISH + 2.0:  # a disk that hangs holds the thread
                thread.join(0.1)
            self.error = self.error or run.error or (_INCOMPLETE.format(_FINISH) if thread.is_alive() else "")
        return [Path(name) for run, _thread in self._ended for name in run.names]

    def _write(self, sample: gst.MappedSample) -> None:
        caps = sample.raw.get_caps().to_string()
        if self._run is None or not self._run.continues(sample, caps):
            self._end_run()
            if sample.media_type in CODED and _is_delta(sample):
                return
            self._run = _Run(self.settings, sample, caps, len(self._ended) + 1)
        if self._run.push(sample):
            self.frames += 1
        else:
            self.dropped += 1
        self._run.watch()

    def _end_run(self) -> None:
        """Complete the file in a separate thread, so that the camera does not wait for the disk."""
        if self._run is not None:
            thread = threading.Thread(target=self._run.finish, name="recording")
            self._ended.append((self._run, thread))
            self._run = None
            thread.start()


class _Run:
    """The files of one uninterrupted sequence of frames.

    Raises:
        SettingError, MissingDependency: the encoder is not available.
    """

    def __init__(self, settings: RecordSettings, sample: gst.MappedSample, caps: str, number: int) -> None:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
        pattern = f"{settings.name}_{stamp}_{number}_%03d.{settings.container}"
        self.names: list[str] = []
        self.error = ""
        self._caps, self._base, self._last = caps, sample.pts_ns, sample.pts_ns
        self._coded = sample.media_type in CODED
        self._waits_for_key = False
        self._progress: tuple[int, int, int] | None = None  # bytes in the queue, files, bytes of the newest file
        self._progress_at = 0.0
        self._pipeline = gst.Pipeline(pipeline_text(sample.media_type, settings))
        # Unbuffered: otherwise a crash would lose the last 64 KiB, which can be many seconds.
        sink = self._pipeline.element("files")
        sink.set_property("sink", gst.make("filesink", "buffer-mode", "unbuffered"))
        sink.connect("format-location", lambda _sink, file: _created(settings.directory / (pattern % file)))
        # Frames with a variable rate keep their times, but encoders need a nominal rate.
        rated = caps if _RATE.search(caps) else caps.replace(_NO_RATE, "") + ", framerate=(fraction)30/1"
        self._source = self._pipeline.element("src")
        self._source.set_property("caps", gst.load().Caps.from_string(rated))
        self._pipeline.start(timeout=0.0)

    def continues(self, sample: gst.MappedSample, caps: str) -> bool:
        """Whether this frame continues the sequence.

        The pipeline's time restarts when the camera is reopened; B-frames step back by a few frames only.
        """
        return caps == self._caps and sample.pts_ns >= self._last - _STEP_BACK_NS

    def push(self, sample: gst.MappedSample) -> bool:
        """False if the frame was dropped: the queue is full, or the keyframe it depends on was dropped."""
        limit = _WAITING_CODED if self._coded else _WAITING_FRAMES * len(sample.data)
        full = self._source.get_property("current-level-bytes") > limit
        self._waits_for_key = self._coded and (full or (self._waits_for_key and _is_delta(sample)))
        self._last = max(self._last, sample.pts_ns)
        if full or self._waits_for_key:
            return False
        buffer = gst.writable_copy(sample.buffer)  # shares the frame's memory
        shift = self._base - sample.pts_ns
        if sample.buffer.dts != gst.load().CLOCK_TIME_NONE:
            buffer.dts = max(0, sample.buffer.dts - sample.buffer.pts - shift)
        buffer.pts = max(0, sample.pts_ns - self._base)
        return self._pipeline.push(buffer)

    def watch(self, wait: float = 0.0) -> bool:
        """Process pipeline messages, waiting up to ``wait`` s; True once everything is written.

        Raises:
            RecordError: writing failed.
        """
        ended = False
        for message in self._pipeline.messages(wait):
            if message.kind == "error":
                self.error = message.text
                raise RecordError(message.text)
            if message.name == "splitmuxsink-fragment-opened":
                self.names.append(message.fields["location"])
            ended = ended or message.kind == "eos"
        return ended

    def idle(self) -> float:
        """Seconds since a frame left the queue or the newest file grew, as seen by these calls."""
        written = 0
        with contextlib.suppress(OSError, IndexError):
            written = Path(self.names[-1]).stat().st_size
        progress = (self._source.get_property("current-level-bytes"), len(self.names), written)
        if progress != self._progress:
            self._progress, self._progress_at = progress, time.monotonic()
        return time.monotonic() - self._progress_at

    def finish(self) -> None:
        """Complete the files. Blocks until they are written; gives up after ten seconds without progress."""
        try:
            self._source.emit("end-of-stream")
            while not self.error and not self.watch(0.1):
                if self.idle() > _FINISH:
                    self.error = _INCOMPLETE.format(_FINISH)
        except RecordError:
            pass  # reported by close()
        finally:
            self._pipeline.stop()


def _created(path: Path) -> str:
    """The new file's name. One that cannot be created is named by the sink, with the reason."""
    try:
        return str(create(path))
    except OSError:
        return str(path)


def _is_delta(sample: gst.MappedSample) -> bool:
    return bool(sample.buffer.has_flags(gst.load().BufferFlags.DELTA_UNIT))
