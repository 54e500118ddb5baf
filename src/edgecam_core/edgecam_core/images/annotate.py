"""Annotated images as files: a folder, a numbered pattern, or a video."""

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

_RATE = 30.0  # of a video made from images that have no times


class Writer:
    """Writes nothing; its subclasses write somewhere."""

    def write(self, item: InputImage, detections: Detections) -> None:
        """Keep one image. Raises EdgecamError where it cannot be written."""

    def close(self) -> None:
        """Finish the file."""


class FileWriter(Writer):
    """One file per image. In ``pattern``, ``%i`` or ``%04d`` is the image's number from 0, ``{name}`` its name.

    Images of the same name are told apart by ``_2``, ``_3``, ...; a file in ``inputs`` is never overwritten.
    """

    def __init__(self, pattern: str, inputs: frozenset[Path] = frozenset()) -> None:
        self._pattern = pattern
        self._inputs = inputs
        self._written: set[Path] = set()
        self._number = 0

    def write(self, item: InputImage, detections: Detections) -> None:
        number = self._number
        numbered = re.sub(r"%0?(\d*)[id]", lambda found: f"{number:0{found[1] or 0}d}", self._pattern)
        path = whole = Path(numbered.replace("{name}", item.stem))
        self._number += 1
        again = 1
        while path in self._written:
            again += 1
            path = whole.with_stem(f"{whole.stem}_{again}")
        self._written.add(path)
        _spare(path, self._inputs)
        _make_folder(path)
        if not cv2.imwrite(str(path), _drawn(item, detections)):
            raise EdgecamError(f"cannot write {path}: the folder is not writable or the disk is full")


class VideoWriter(Writer):
    """One MPEG-4 video at 30 Hz, in the size of the first image."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._video: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, item: InputImage, detections: Detections) -> None:
        pixels = _drawn(item, detections)
        if self._video is None:
            _make_folder(self._path)
            self._size = (pixels.shape[1], pixels.shape[0])
            self._video = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), _RATE, self._size)
            if not self._video.isOpened():
                raise EdgecamError(f"cannot write the video {self._path}; give a writable path that ends in .mp4")
        self._video.write(cv2.resize(pixels, self._size) if pixels.shape[1::-1] != self._size else pixels)

    def close(self) -> None:
        if self._video is not None:
            self._video.release()


def writer(output: str | None, inputs: Iterable[str] = ()) -> Writer:
    """Where ``--output`` says: nowhere, a video, a pattern, or a folder (``<name>.jpg`` in it).

    Args:
        inputs: files that must not be overwritten.

    Raises:
        SettingError: one file name for many images, an unknown kind of image, or a video that is an input.
    """
    if not output:
        return Writer()
    suffix = Path(output).suffix.lower()
    originals = frozenset(Path(text).resolve() for text in inputs)
    if suffix in VIDEOS:
        _spare(Path(output), originals)
        return VideoWriter(Path(output))
    if re.search(r"%0?\d*[id]", output) or "{name}" in output:
        if not cv2.haveImageWriter(output):
            raise SettingError("output", output, "must end like an image or a video (.jpg, .png, .mp4)")
        return FileWriter(output, originals)
    if suffix:
        raise SettingError("output", output, "is one file for all images; give a folder, out/%i.jpg or a .mp4")
    return FileWriter(f"{output}/{{name}}.jpg", originals)


def _spare(path: Path, inputs: frozenset[Path]) -> None:
    if path.resolve() in inputs:
        raise SettingError("output", str(path), "is an input and would be overwritten; give another folder or name")


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgecamError(f"cannot make the folder of {path}: {error.strerror}") from error


def _drawn(item: InputImage, detections: Detections) -> np.ndarray:
    assert isinstance(item.frame, Frame)
    return draw(item.frame.bgr().copy(), detections)
