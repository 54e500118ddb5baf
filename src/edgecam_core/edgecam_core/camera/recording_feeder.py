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

"""A recording as a camera: pushes its images into the pipeline, paced by their times."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, ImageError, SourceError
from edgecam_core.media import codecs, gst, nal
from edgecam_core.media.bgr_feed import padded_rows
from edgecam_core.media.encodings import ENCODINGS
from edgecam_core.recording import image_messages
from edgecam_core.recording.message import Message, RecordingError
from edgecam_core.recording.playback import Playback, image_topic
from edgecam_core.recording.reader import Recording, open_recording
from edgecam_core.types import Frame

if TYPE_CHECKING:
    from edgecam_core.camera.sources.mcap import PlaybackRequest


def form_of(path: Path, topic: str, start: float) -> str:
    """The format of the topic's images: raw, jpeg, h264 or h265.

    Blocks to read the recording, once as long as its files do not change: one that was cut has no index, and reading
    it takes seconds.

    Raises:
        RecordingError: the recording cannot be read, has no such topic, or the topic has no image.
    """
    try:
        states = tuple((one.st_mtime_ns, one.st_size) for one in map(Path.stat, [path, *sorted(path.glob("*"))]))
    except OSError:
        states = ()  # opening it says what is wrong
    return _read_codec(path, topic, start, states)


@functools.lru_cache(maxsize=32)
def _read_codec(path: Path, topic: str, start: float, _states: tuple[tuple[int, int], ...]) -> str:
    recording = open_recording(path)
    try:
        name = image_topic(recording, image_messages.TYPES, topic)
        for message in Playback(recording, [name], 0.0, start):
            return _codec(message)
        raise RecordingError(f"topic {name} has no messages after {start:g} s")
    except ImageError as error:
        raise RecordingError(f"the first image of {path} is damaged: {error}") from error
    finally:
        recording.close()


def _codec(message: Message) -> str:
    if message.topic.type in image_messages.VIDEO:
        name = image_messages.video(message.data).format
        if name not in ("h264", "h265"):
            raise RecordingError(
                f"topic {message.topic.name} contains {name!r} video; only h264 and h265 can be decoded"
            )
        return name
    is_jpeg = (
        message.topic.type == image_messages.COMPRESSED
        and bytes(image_messages.compressed(message.data).data[:2]) == b"\xff\xd8"
    )
    return "jpeg" if is_jpeg else "raw"


class RecordingFeeder:
    """Pushes images in a separate thread until the recording ends or :meth:`stop` is called.

    The buffers' times are the original stamps, unless the request is for current times. ``error`` is the error that
    ended the thread, or None; damaged images are counted in ``counters``.
    """

    def __init__(
        self, pipeline: gst.Pipeline, request: PlaybackRequest, codec: str, loop: bool, counters: Counters
    ) -> None:
        self.error: EdgecamError | None = None
        self._pipeline = pipeline
        self._request = request
        self._codec = codec
        self._loop = loop
        self._counters = counters
        self._caps = ""
        self._decodable = codec not in ("h264", "h265")  # whether the next access unit can be decoded
        self._stopping = threading.Event()
        self._steps = threading.Semaphore(0)
        self._playback: Playback | None = None
        self._thread = threading.Thread(target=self._run, name="camera-recording", daemon=True)
        self._thread.start()

    @property
    def can_step(self) -> bool:
        return self._request.step

    def step(self) -> None:
        """Release the next frame, if :attr:`can_step`."""
        self._steps.release()

    def stop(self) -> None:
        """Call after stopping the pipeline, which unblocks a waiting push."""
        self._stopping.set()
        self._steps.release()
        if self._playback is not None:
            self._playback.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            recording = open_recording(self._request.path)
            try:
                self._play(recording)
            finally:
                recording.close()
        except EdgecamError as error:
            self.error = error if isinstance(error, SourceError) else SourceError(str(error))

    def _play(self, recording: Recording) -> None:
        request = self._request
        topic = image_topic(recording, image_messages.TYPES, request.topic)
        self._playback = Playback(recording, [topic], request.rate, request.start, self._loop)
        if self._stopping.is_set():  # stop() ran before it could see the playback
            return
        for message in self._playback:
            if request.step:
                self._steps.acquire()
            if self._stopping.is_set():
                return
            try:
                if not self._push(message):
                    return
            except ImageError as error:
                self._counters.add(str(error))
        if not self._stopping.is_set():
            if recording.damage:
                self._counters.add(recording.damage)
            self._pipeline.element("feed").emit("end-of-stream")

    def _push(self, message: Message) -> bool:
        if self._codec == "raw":
            return self._push_frame(image_messages.frame(message.topic.type, message.data))
        coded = (image_messages.compressed if self._codec == "jpeg" else image_messages.video)(message.data)
        self._decodable = self._decodable or _has_keyframe(self._codec, coded.data)
        if not self._decodable:
            self._counters.add("access unit before the first keyframe")
            return True
        return self._push_bytes(coded.data, coded.stamp_ns)

    def _push_frame(self, frame: Frame) -> bool:
        pixel_format = ENCODINGS[frame.encoding].gstreamer
        bayer = frame.encoding.startswith("bayer")
        planar = frame.encoding.startswith(("nv12", "nv21", "yuv422"))  # planes with their own offsets
        if planar or pixel_format is None:
            frame, pixel_format, bayer = Frame.from_array(frame.bgr(), "bgr8", frame.stamp_ns), "BGR", False
        media = "video/x-bayer" if bayer else "video/x-raw"
        caps = f"{media},format={pixel_format},width={frame.width},height={frame.height},framerate=0/1"
        if caps != self._caps:
            self._caps = caps
            self._pipeline.element("feed").set_property("caps", gst.load().Caps.from_string(caps))
        row = frame.width * ENCODINGS[frame.encoding].bytes_per_pixel
        rows = np.ndarray((frame.height, row), np.uint8, buffer=frame.data, strides=(frame.step, 1))
        return self._push_bytes(padded_rows(rows).reshape(-1), frame.stamp_ns)

    def _push_bytes(self, data: np.ndarray, stamp_ns: int) -> bool:
        buffer = self._pipeline.new_buffer(data, max(0, stamp_ns))
        if self._request.now:
            buffer.pts = gst.load().CLOCK_TIME_NONE  # stamped by the appsrc
        return self._pipeline.push(buffer, "feed")


def _has_keyframe(codec_name: str, unit: np.ndarray) -> bool:
    codec = codecs.codec(codec_name)
    return any(codec.is_keyframe(codec.kind(one)) for one in nal.split(unit.tobytes()))
