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

"""Reads images from the user's arguments: files, folders, globs, videos and cameras."""

from __future__ import annotations

import glob
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2

from edgecam_core.errors import ImageError, SettingError
from edgecam_core.masking import masked
from edgecam_core.media.container_size import missing_bytes
from edgecam_core.media.image_files import IMAGE_SUFFIXES, image_files, natural_key
from edgecam_core.media.image_reader import read_image
from edgecam_core.types import Frame

if TYPE_CHECKING:
    from edgecam_core.camera.captured_frame import CapturedFrame

T = TypeVar("T")

VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts", ".mpg", ".mpeg", ".h264", ".h265")
_READERS = 2  # threads; decoding releases the interpreter lock, and two readers are faster than any model
_AHEAD = 8
_USUAL_RATE, _FASTEST = 30.0, 1000.0  # Hz; default for a video without a plausible rate
_POLL = 0.2  # seconds between checks of a camera without frames
_SILENCE = 1.0  # seconds without a frame before the caller is informed

Waiting = Callable[[str], None]


def _ignore(_text: str) -> None:
    """A ``Waiting`` that does nothing."""


@dataclass(frozen=True)
class InputImage:
    """One image, or the reason why it is missing.

    ``name`` is the file, followed by ``#`` and the frame number for videos and cameras. ``stem`` is a file name
    without suffix, derived from it. ``rate`` is the nominal rate of a video in Hz; 0: none.
    """

    name: str
    stem: str
    frame: Frame | None
    problem: str = ""
    rate: float = 0.0


def expand(inputs: Sequence[str]) -> list[str]:
    """The files that files, globs and folders stand for, in order; a text with ``://`` is returned unchanged.

    Raises:
        SettingError: an input does not exist, or a folder contains no images.
    """
    found: list[str] = []
    for text in inputs:
        path = Path(text).expanduser()
        if "://" in text:
            found.append(text)
        elif path.is_dir():
            inside = image_files(path)
            if not inside:
                raise SettingError("input", text, f"contains no image ({', '.join(IMAGE_SUFFIXES)})")
            found += map(str, inside)
        elif path.is_file():
            found.append(str(path))
        elif matches := sorted(glob.glob(str(path), recursive=True), key=lambda name: natural_key(Path(name))):
            found += matches
        else:
            remedy = "is not a file, folder or matching glob; write a camera as v4l2:///dev/video0"
            raise SettingError("input", text, remedy)
    return found


def is_moving(source: str) -> bool:
    """Whether the source is a video or a camera, not an image."""
    return "://" in source or Path(source).suffix.lower() in VIDEOS


def read_inputs(sources: Sequence[str], waiting: Waiting = _ignore) -> Generator[InputImage, None, None]:
    """The images of expanded inputs, in order. Threads read files ahead while the caller works.

    Args:
        sources: the result of :func:`expand`.
        waiting: called in the caller's thread when a camera has delivered no frame for a second, with a text that
            states what the camera is waiting for, and again when the text changes.
    """
    return _in_order(sources, lambda item: item, _READERS, waiting)


def each(
    sources: Sequence[str], work: Callable[[InputImage], T], threads: int = 1, waiting: Waiting = _ignore
) -> Generator[tuple[InputImage, T], None, None]:
    """The images of expanded inputs, in order, each with the result of ``work``; ``waiting`` as in `read_inputs`.

    With several threads, each thread reads a file and calls ``work``, which must be thread-safe. Frames of videos and
    cameras are processed in the caller's thread.
    """
    if threads > 1:
        return _in_order(sources, lambda item: (item, work(item)), threads, waiting)
    return ((item, work(item)) for item in read_inputs(sources, waiting))


def _in_order(
    sources: Sequence[str], work: Callable[[InputImage], T], threads: int, waiting: Waiting
) -> Generator[T, None, None]:
    with ThreadPoolExecutor(threads, "images") as pool:
        coming: deque[Future[T]] = deque()
        try:
            for source in sources:
                if is_moving(source):
                    while coming:
                        yield coming.popleft().result()
                    yield from map(work, _camera(source, waiting) if "://" in source else _video(source))
                    continue
                coming.append(pool.submit(lambda path: work(_read(path)), source))
                if len(coming) > _AHEAD:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: str) -> InputImage:
    try:
        frame = Frame.from_array(read_image(path), "bgr8")
    except ImageError as error:
        return InputImage(path, Path(path).stem, None, str(error).removeprefix(f"{path} "))
    return InputImage(path, Path(path).stem, frame)


def _video(path: str) -> Iterator[InputImage]:
    video = cv2.VideoCapture(path)
    rate = video.get(cv2.CAP_PROP_FPS)
    rate = rate if 0 < rate <= _FASTEST else _USUAL_RATE  # NaN and a time base (90000) included
    number, stamp_ns = 0, 0
    while True:
        read, pixels = video.read()
        if not read:
            break
        number += 1
        # The file's timestamps, if they increase: frames may be unevenly spaced.
        at = round(video.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        stamp_ns = at if number == 1 or at > stamp_ns else stamp_ns + round(1e9 / rate)
        frame = Frame.from_array(pixels, "bgr8", stamp_ns)
        yield InputImage(f"{path}#{number}", f"{Path(path).stem}_{number:06d}", frame, rate=rate)
    missing = missing_bytes(path)
    if number == 0 or missing:
        text = "is truncated" if number else "cannot be read as a video"
        reason = f": its last {missing} bytes are missing, {number} frames were read" if missing else ""
        yield InputImage(path, Path(path).stem, None, text + reason)


def _camera(source: str, waiting: Waiting) -> Iterator[InputImage]:
    """The newest frame of a live source each time; every image of a recording. Ends with the source.

    Blocks while the source delivers no frame.
    """
    from edgecam_core.camera.capture import Camera
    from edgecam_core.camera.settings import CameraSettings
    from edgecam_core.camera.uri import parse

    recorded = parse(source).scheme == "mcap"
    newest: deque[Frame] = deque(maxlen=1)
    arrived, taken, closing = threading.Event(), threading.Event(), threading.Event()
    failures: list[Exception] = []

    def keep(image: CapturedFrame) -> None:
        newest.append(image.frame("bgr8"))
        arrived.set()
        while recorded and not closing.is_set() and not taken.wait(_POLL):
            pass
        taken.clear()

    settings = CameraSettings(source=source, realtime=not recorded)
    camera = Camera(settings, keep, on_failure=failures.append)
    camera.start()
    number, reported = 0, ""
    silent_since = time.monotonic()
    try:
        while not failures:
            if not arrived.wait(_POLL):
                status = camera.status()
                if status.state == "ended":
                    return
                text = f"waiting for {masked(source)}: {status.waiting or status.state}"
                if time.monotonic() - silent_since > _SILENCE and text != reported:
                    reported = text
                    waiting(text)
                continue
            arrived.clear()
            silent_since, reported = time.monotonic(), ""
            if newest:
                number += 1
                frame = newest.pop()
                taken.set()
                yield InputImage(f"{source}#{number}", f"camera_{number:06d}", frame)
        raise failures[0]
    finally:
        closing.set()
        camera.stop()
