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

"""Writes annotated images to a folder, to numbered files, or to a video."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import EdgecamError, SettingError
from edgecam_core.images.inputs import VIDEOS, InputImage
from edgecam_core.images.overlay import draw
from edgecam_core.types import Detections, Frame

_RATE = 30.0  # Hz; of a video from still images or a camera
_LONGEST_GAP = 10.0  # seconds; a frame is not repeated for longer, e.g. while a camera is disconnected


class Writer:
    """Base class; writes nothing."""

    def write(self, item: InputImage, detections: Detections) -> None:
        """Write one image.

        Raises:
            EdgecamError: it cannot be written.
        """

    def close(self) -> None:
        """Complete the file."""


class FileWriter(Writer):
    """Writes one file per image. In ``pattern``, ``%i`` or ``%04d`` is the image number from 0, ``{name}`` its name.

    If images have the same name, ``_2``, ``_3``, ... is appended. A file in ``inputs`` is never overwritten.
    """

    def __init__(self, pattern: str, inputs: frozenset[Path] = frozenset()) -> None:
        self._pattern = pattern
        self._inputs = inputs
        self._written: set[Path] = set()
        self._number = 0

    def write(self, item: InputImage, detections: Detections) -> None:
        number = self._number
        numbered = re.sub(r"%0?(\d*)[id]", lambda found: f"{number:0{found[1] or 0}d}", self._pattern)
        path = first = Path(numbered.replace("{name}", item.stem))
        self._number += 1
        copy = 1
        while path in self._written:
            copy += 1
            path = first.with_stem(f"{first.stem}_{copy}")
        self._written.add(path)
        _refuse_input(path, self._inputs)
        _make_folder(path)
        if not cv2.imwrite(str(path), _drawn(item, detections)):
            raise EdgecamError(f"cannot write {path}: the folder is not writable or the disk is full")


class VideoWriter(Writer):
    """Writes one MPEG-4 video with the size of the first image and the rate of its video (30 Hz if it has none).

    It has the duration of the original: if frames are unevenly spaced, a frame is repeated until the next is due, and
    of several frames due at once only the last is written. Each still image is one frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._rate = _RATE
        self._before: tuple[int, np.ndarray] | None = None  # capture time and pixels of the frame not yet written
        self._owed = 0.0  # frames still to write for the elapsed time

    def write(self, item: InputImage, detections: Detections) -> None:
        assert isinstance(item.frame, Frame)
        pixels = _drawn(item, detections)
        if self._video is None:
            self._video = self._open(item.rate or _RATE, (pixels.shape[1], pixels.shape[0]))
        pixels = cv2.resize(pixels, self._size) if pixels.shape[1::-1] != self._size else pixels
        self._flush(item.frame.stamp_ns)
        self._before = (item.frame.stamp_ns, pixels)

    def _open(self, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
        _make_folder(self._path)
        self._rate, self._size = rate, size
        video = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not video.isOpened():
            raise EdgecamError(f"cannot write the video {self._path}; use a writable path that ends in .mp4")
        return video

    def _flush(self, now_ns: int | None = None) -> None:
        """Repeat the previous frame to fill the time up to ``now_ns``; write it once if times are unknown."""
        if self._before is None or self._video is None:
            return
        stamp_ns, pixels = self._before
        seconds = (now_ns - stamp_ns) / 1e9 if now_ns is not None else 0.0
        self._owed += min(seconds, _LONGEST_GAP) * self._rate if seconds > 0 else 1.0
        for _ in range(round(self._owed)):
            self._video.write(pixels)
            self._owed -= 1.0

    def close(self) -> None:
        if self._video is not None:
            self._flush()
            self._video.release()


def writer(output: str | None, inputs: Iterable[str] = ()) -> Writer:
    """The writer for ``--output``: None (writes nothing), a video, a pattern, or a folder for ``<name>.jpg``.

    Args:
        output: the value of the option.
        inputs: files that must not be overwritten.

    Raises:
        SettingError: one file name for several images, an unknown image format, or a video that is an input.
    """
    if not output:
        return Writer()
    suffix = Path(output).suffix.lower()
    originals = frozenset(Path(text).resolve() for text in inputs)
    if suffix in VIDEOS:
        _refuse_input(Path(output), originals)
        return VideoWriter(Path(output))
    if re.search(r"%0?\d*[id]", output) or "{name}" in output:
        if not cv2.haveImageWriter(output):
            raise SettingError("output", output, "must end like an image or a video (.jpg, .png, .mp4)")
        return FileWriter(output, originals)
    if suffix:
        raise SettingError("output", output, "is one file for all images; use a folder, out/%i.jpg or a .mp4")
    return FileWriter(f"{output}/{{name}}.jpg", originals)


def _refuse_input(path: Path, inputs: frozenset[Path]) -> None:
    if path.resolve() in inputs:
        raise SettingError("output", str(path), "is an input and would be overwritten; use another folder or name")


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgecamError(f"cannot create the folder of {path}: {error.strerror}") from error


def _drawn(item: InputImage, detections: Detections) -> np.ndarray:
    assert isinstance(item.frame, Frame)
    return draw(item.frame.bgr().copy(), detections)
