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

"""Clips from coded frames without re-encoding: a ring buffer of recent frames, and a writer of clip files."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecam_core.errors import EdgecamError
from edgecam_core.files import create
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import CODECS
from edgecam_core.media.keyframe_gate import KeyframeGate

JPEG = "jpeg"
SUFFIX = {JPEG: ".mkv", "h264": ".mp4", "h265": ".mp4"}
_QUEUE = 64_000_000  # bytes that may wait for the disk
_FINISH = 10.0  # seconds
# A truncated file of either kind is playable up to its end; MP4 only if it is fragmented.
_MUXERS = {".mkv": "matroskamux", ".mp4": "mp4mux fragment-duration=1000"}


class ClipError(EdgecamError):
    """A clip cannot be written."""


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One coded frame. ``codec`` is jpeg, h264 or h265; ``data`` is a JPEG file, or an access unit in Annex B format.
    ``keyframe``: decoding can start here. ``sets``: its parameter sets."""

    stamp_ns: int
    codec: str
    data: bytes
    keyframe: bool = True
    sets: tuple[bytes, ...] = ()


def access_unit(stamp_ns: int, codec: str, data: bytes) -> CodedFrame:
    """A coded frame from an access unit of H.264 or H.265 in Annex B format.

    Raises:
        ClipError: another codec, or the data is not an access unit.
    """
    row = CODECS.get(codec)
    if row is None:
        raise ClipError(f"video of format '{codec[:20]}' cannot be stored in clips; publish {' or '.join(CODECS)}")
    units = [(row.kind(unit), unit) for unit in nal.split(data)]
    if not any(row.is_vcl(kind) for kind, _ in units):
        raise ClipError(f"a message of {len(data)} bytes is not an access unit of {codec}")
    sets = tuple(unit for kind, unit in units if kind in row.parameter_sets)
    return CodedFrame(stamp_ns, codec, data, any(row.is_keyframe(kind) for kind, _ in units), sets)


class Ring:
    """The newest coded frames of one stream, starting with a keyframe. Not thread-safe.

    A change of codec, or a stamp that goes back by more than a second, empties the ring. A frame out of order is
    skipped. ``sets`` are the latest parameter sets of the stream: not every keyframe includes them.
    """

    def __init__(self) -> None:
        self._frames: deque[CodedFrame] = deque()
        self.sets: tuple[bytes, ...] = ()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest(self) -> CodedFrame | None:
        """The newest frame; None if the ring is empty. Thread-safe."""
        try:
            return self._frames[-1]
        except IndexError:
            return None

    def add(self, frame: CodedFrame, seconds: float, max_bytes: float) -> bool:
        """Add a frame and drop those older than ``seconds`` or above ``max_bytes``. Returns False if it is skipped."""
        if self._frames:
            last = self._frames[-1]
            if last.codec != frame.codec or frame.stamp_ns < last.stamp_ns - 10**9:
                self.clear()
            elif frame.stamp_ns <= last.stamp_ns:
                return False
        self.sets = frame.sets or self.sets
        if not self._frames and not frame.keyframe:
            return False
        self._frames.append(frame)
        self.bytes += len(frame.data)
        self._trim(frame.stamp_ns - round(seconds * 1e9), max_bytes)
        return True

    def _trim(self, oldest_ns: int, max_bytes: float) -> None:
        """Drop whole GOPs, so that the first frame is a keyframe at or before ``oldest_ns``."""
        while len(self._frames) > 1:
            second = next((index for index in range(1, len(self._frames)) if self._frames[index].keyframe), None)
            if second is None or (self._frames[second].stamp_ns > oldest_ns and self.bytes <= max_bytes):
                break
            for _ in range(second):
                self.bytes -= len(self._frames.popleft().data)
        if self.bytes > max_bytes and len(self._frames) > 1:
            self.clear()  # a single GOP exceeds the limit

    def clear(self) -> None:
        """Drop all frames; ``sets`` remain."""
        self._frames.clear()
        self.bytes = 0

    def since(self, stamp_ns: int) -> list[CodedFrame]:
        """The frames from the last keyframe at or before a stamp; all frames if there is no such keyframe."""
        frames = list(self._frames)
        keys = [index for index, one in enumerate(frames) if one.keyframe and one.stamp_ns <= stamp_ns]
        return frames[keys[-1] if keys else 0 :]

    def at(self, stamp_ns: int, within_ns: int = 0) -> CodedFrame | None:
        """The frame with this stamp, or the nearest one within ``within_ns``; None if there is none."""
        nearest = min(self._frames, key=lambda one: abs(one.stamp_ns - stamp_ns), default=None)
        return nearest if nearest is not None and abs(nearest.stamp_ns - stamp_ns) <= within_ns else None


class ClipWriter:
    """Writes one clip while its frames arrive. Not thread-safe; only :meth:`finish` blocks.

    Args:
        path: without suffix. The attribute ``path`` has the suffix, and another name if the file exists.
        codec: that of all its frames.
        sets: the stream's parameter sets, for keyframes that do not include them.

    Raises:
        EdgecamError: GStreamer lacks an element, or the file cannot be created.
    """

    def __init__(self, path: Path, codec: str, sets: Sequence[bytes] = ()) -> None:
        self.codec = codec
        self._gate = KeyframeGate(CODECS[codec], sets) if codec in CODECS else None
        try:
            self.path = create(path.with_name(path.name + SUFFIX[codec]))
        except OSError as error:
            raise ClipError(f"{path} cannot be written: {error.strerror}") from error
        self.frames = 0
        self._first_ns = self._last_ns = 0
        parser = "jpegparse" if codec == JPEG else CODECS[codec].parser
        caps = "image/jpeg" if codec == JPEG else f"{CODECS[codec].media_type},stream-format=byte-stream,alignment=au"
        location = gst.quoted(str(self.path))
        self._pipeline = gst.Pipeline(
            f"appsrc name=src format=time max-bytes=0 max-buffers=0 max-time=0 caps={gst.quoted(caps)} ! {parser} ! "
            f"{_MUXERS[self.path.suffix]} ! filesink buffer-mode=unbuffered location={location}"
        )
        self._source = self._pipeline.element("src")
        self._pipeline.start(timeout=0.0)

    def add(self, frame: CodedFrame) -> bool:
        """Write a frame. Returns False if it is skipped: another codec, a stamp out of order, or not decodable.

        Raises:
            ClipError: writing fails, or the disk is too slow.
        """
        if frame.codec != self.codec or (self.frames and frame.stamp_ns <= self._last_ns):
            return False
        data = frame.data
        if self._gate is not None:
            admitted = self._gate.admit(nal.split(data))
            if admitted is None or not admitted.shown:
                return False
            data = nal.join(admitted.nals)
        if not self.frames:
            self._first_ns = frame.stamp_ns
        if self._source.get_property("current-level-bytes") > _QUEUE:
            raise ClipError(f"{self.path}: the disk is too slow")
        buffer = self._pipeline.new_buffer(np.frombuffer(data, np.uint8), frame.stamp_ns - self._first_ns)
        buffer.dts = buffer.pts
        if not frame.keyframe:
            buffer.set_flags(gst.load().BufferFlags.DELTA_UNIT)
        self._last_ns = frame.stamp_ns
        self.frames += 1
        self._pipeline.push(buffer)
        self._check(())
        return True

    @property
    def seconds(self) -> float:
        """Time from the first to the last frame."""
        return (self._last_ns - self._first_ns) / 1e9

    def finish(self) -> None:
        """Complete the file. Blocks for the disk, up to ten seconds.

        Raises:
            ClipError: it could not be completed; the file has been deleted.
        """
        try:
            if not self.frames:
                raise ClipError(f"{self.path}: no frame arrived")
            self._source.emit("end-of-stream")
            self._check(("eos",), _FINISH)
        except ClipError:
            self.abandon()
            raise
        self._pipeline.stop()

    def abandon(self) -> None:
        """Stop and delete the file."""
        self._pipeline.stop()
        self.path.unlink(missing_ok=True)

    def _check(self, awaited: tuple[str, ...], timeout: float = 0.0) -> None:
        if not awaited:
            found = next((one for one in self._pipeline.messages() if one.kind == "error"), None)
        else:
            found = self._pipeline.wait_for((*awaited, "error"), timeout)
            if found is None:
                raise ClipError(f"{self.path}: the disk is too slow")
        if found is not None and found.kind == "error":
            raise ClipError(f"{self.path}: {found.text}")


def jpeg_frames(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """The frames of a clip as JPEG, for browsers that cannot play Motion JPEG or H.265. Blocks for disk and decoder.

    Yields:
        Time since the start of the clip in nanoseconds, and the JPEG file.

    Raises:
        EdgecamError: the clip cannot be read, or GStreamer lacks an element.
    """
    decoder = "matroskademux ! jpegparse" if path.suffix == ".mkv" else "decodebin ! videoconvert ! jpegenc"
    pipeline = gst.Pipeline(
        f"filesrc location={gst.quoted(str(path))} ! {decoder} ! appsink name=sink sync=false max-buffers=4"
    )
    try:
        pipeline.start()
        while (sample := pipeline.pull(_FINISH)) is not None:
            with sample:
                yield sample.pts_ns, sample.data.tobytes()
        if (message := next((one for one in pipeline.messages() if one.kind == "error"), None)) is not None:
            raise ClipError(f"{path}: {message.text}")
    finally:
        pipeline.stop()
