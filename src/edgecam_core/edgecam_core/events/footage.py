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

"""The recent coded frames of all cameras, the source of snapshots and clips. Not thread-safe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.events.clips import JPEG, SUFFIX, ClipWriter, CodedFrame, Ring
from edgecam_core.events.event import Event
from edgecam_core.events.settings import EventsSettings
from edgecam_core.images.overlay import draw
from edgecam_core.types import Detections

MEGABYTE = 1e6
JPEG_SECONDS = 5.0  # seconds of JPEG kept for snapshots: longer than a detector needs
_NEAR_NS = 500_000_000  # a frame this close may replace a missing one
_SILENCE = 10.0  # seconds without a frame, beyond post_roll, after which the clip of an ended event is complete
_MAX_CLIPS = 8  # written at the same time
_QUALITY = 90  # of JPEG


@dataclass
class Clip:
    """A clip that is being written. ``until_ns`` is the latest stamp in it; at ``deadline`` (monotonic clock) it ends
    even if no more frames arrive."""

    event: Event
    writer: ClipWriter
    until_ns: int
    deadline: float = float("inf")  # not before the end of the event


@dataclass
class _CameraFootage:
    jpegs: Ring = field(default_factory=Ring)
    video: Ring = field(default_factory=Ring)


class Footage:
    """Ring buffers of coded frames, and the clips written from them.

    ``failed`` holds the errors that ended clips; the owner removes them.
    """

    def __init__(self, settings: EventsSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.clips: list[Clip] = []
        self.failed: list[EdgecamError] = []
        self._now = now
        self._cameras: dict[str, _CameraFootage] = {}

    @property
    def megabytes(self) -> float:
        """Memory used by the ring buffers."""
        return sum(one.jpegs.bytes + one.video.bytes for one in self._cameras.values()) / MEGABYTE

    def source(self, camera: str) -> str:
        """The source of a camera's clips at present: video, jpeg, or empty if there is none."""
        return {"video": "video", "jpeg": "jpeg"}.get(self._named_ring(camera)[0], "")

    def reference(self, event: Event) -> str:
        """The path of an event's clip, relative to the events' folder; the file may not exist yet.

        Empty if there are no coded frames. Thread-safe.
        """
        name, ring = self._named_ring(event.camera)
        newest = ring.newest
        return f"clips/{event.id}{SUFFIX[newest.codec]}" if name and newest is not None else ""

    def _named_ring(self, camera: str) -> tuple[str, Ring]:
        state, choice = self._cameras.get(camera) or _CameraFootage(), self.settings.clip
        for name, ring in (("video", state.video), ("jpeg", state.jpegs)):
            if choice in ("auto", name) and len(ring):
                return name, ring
        return "", Ring()

    def frame(self, camera: str, frame: CodedFrame) -> list[Clip]:
        """Add a coded frame; returns the clips that are complete."""
        state = self._cameras.setdefault(camera, _CameraFootage())
        ring = state.jpegs if frame.codec == JPEG else state.video
        seconds = self.settings.pre_roll + JPEG_SECONDS
        if frame.codec == JPEG and self._named_ring(camera)[0] == "video":
            seconds = JPEG_SECONDS
        if not ring.add(frame, seconds, self.settings.buffer_megabytes * MEGABYTE):
            return []
        done = []
        for clip in [one for one in self.clips if one.event.camera == camera and one.writer.codec == frame.codec]:
            if frame.stamp_ns > clip.until_ns:
                done.append(clip)
            else:
                self._add(clip, frame)
        return done

    def _add(self, clip: Clip, frame: CodedFrame) -> None:
        if clip.deadline < float("inf"):
            self._postpone(clip)
        try:
            clip.writer.add(frame)
        except EdgecamError as error:
            self.clips.remove(clip)
            clip.writer.abandon()
            self.failed.append(error)

    def begin(self, event: Event, folder: Path) -> str:
        """Begin the clip of an event with the frames of the pre-roll. Returns why there is no clip, empty if there is.

        Raises:
            EdgecamError: the clip cannot be written.
        """
        if self.settings.clip == "none":
            return ""
        _, ring = self._named_ring(event.camera)
        from_ns = event.start_ns - round(self.settings.pre_roll * 1e9)
        frames = ring.since(from_ns)
        if not frames:
            return "event without clip: no coded frames arrive"
        if len(self.clips) >= _MAX_CLIPS:
            return f"event without clip: {_MAX_CLIPS} are being written"
        writer = ClipWriter(folder / event.id, frames[0].codec, ring.sets)
        clip = Clip(event, writer, from_ns + round(self.settings.max_clip * 1e9))
        self.clips.append(clip)
        for frame in frames:
            if clip in self.clips:
                self._add(clip, frame)
        return ""

    def end(self, event: Event) -> None:
        """The event has ended: its clip ends after post_roll."""
        for clip in self.clips:
            if clip.event.id == event.id:
                clip.until_ns = min(clip.until_ns, event.stamp_ns + round(self.settings.post_roll * 1e9))
                self._postpone(clip)

    def _postpone(self, clip: Clip) -> None:
        clip.deadline = self._now() + self.settings.post_roll + _SILENCE

    def overdue(self) -> list[Clip]:
        """The clips whose deadline has passed because no frames arrive."""
        return [clip for clip in self.clips if self._now() >= clip.deadline]

    def finish(self, clip: Clip) -> Path:
        """Complete a clip; returns its path. Blocks for the disk. Raises ClipError."""
        self.clips.remove(clip)
        clip.writer.finish()
        return clip.writer.path

    def snapshot(self, event: Event, *, near: bool = False) -> bytes | None:
        """The JPEG of an event's frame with the box of its object; None if the frame has not arrived.

        With ``near``, another frame within half a second may replace it; that one has no box.

        Raises:
            ImageError: the JPEG is damaged.
        """
        ring = (self._cameras.get(event.camera) or _CameraFootage()).jpegs
        found = ring.at(event.stamp_ns, _NEAR_NS if near else 0)
        if found is None or event.box is None or found.stamp_ns != event.stamp_ns:
            return None if found is None else found.data
        pixels = cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ImageError(f"a compressed image of {len(found.data)} bytes cannot be decoded")
        one = Detections(
            np.array([event.box], np.float32),
            np.array([event.score], np.float32),
            np.zeros(1, np.int32),
            (event.label,),
        )
        return bytes(cv2.imencode(".jpg", draw(pixels, one), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
