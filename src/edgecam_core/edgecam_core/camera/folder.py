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

"""An image file or a folder of image files as a camera: pushes the files into the pipeline one by one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from edgecam_core.camera.settings import CameraSettings
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, SourceError
from edgecam_core.media import gst
from edgecam_core.media.bgr_feed import BgrFeed
from edgecam_core.media.image_files import image_files

HEAD = "appsrc name=feed is-live=true format=time do-timestamp=true block=true"
DEFAULT_RATE = 10.0


def files_of(path: Path) -> list[Path]:
    """The image files of a folder in natural order; for a file, the file itself."""
    return image_files(path, recursive=False) if path.is_dir() else [path]


class FolderFeeder:
    """Pushes frames at ``framerate`` (10 Hz if it is 0) in a separate thread until stopped.

    A single file is repeated until stopped. A folder is played once, or repeatedly with ``loop``; files added meanwhile
    are played in the next round. ``error`` is the error that ended the thread, or None; unreadable files are counted
    in ``counters``.
    """

    def __init__(self, pipeline: gst.Pipeline, path: Path, settings: CameraSettings, counters: Counters) -> None:
        self.error: EdgecamError | None = None
        self._pipeline = pipeline
        self._feed = BgrFeed(pipeline)
        self._path = path
        self._settings = settings
        self._counters = counters
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera-folder", daemon=True)
        self._thread.start()

    can_step = False

    def step(self) -> None:
        """Has no effect: this source does not wait for steps."""

    def stop(self) -> None:
        """Call after stopping the pipeline, which unblocks a waiting push."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        import cv2

        try:
            while not self._stopping.is_set():
                if not self._round():
                    raise SourceError(f"there is no readable image in {self._path}")
                if self._path.is_dir() and not self._settings.loop:
                    self._pipeline.element("feed").emit("end-of-stream")
                    return
        except EdgecamError as error:
            self.error = error
        except (OSError, cv2.error) as error:
            self.error = SourceError(f"{self._path} cannot be read: {error}")

    def _round(self) -> int:
        """Push all frames once; returns the number of frames pushed."""
        import cv2

        pushed = 0
        paced = self._settings.realtime or self._path.is_file()
        period = 1 / (self._settings.framerate or DEFAULT_RATE)
        only = cv2.imread(str(self._path), cv2.IMREAD_COLOR) if self._path.is_file() else None
        due = time.monotonic()
        for file in files_of(self._path):
            pixels = cv2.imread(str(file), cv2.IMREAD_COLOR) if only is None else only
            if pixels is None:
                self._counters.add(f"unreadable image file {file.name}")
                continue
            due = max(due + period, time.monotonic())  # do not catch up after a slow read
            if not self._feed.push(pixels):
                return max(pushed, 1)
            pushed += 1
            if paced and self._stopping.wait(max(0.0, due - time.monotonic())):
                break
        return pushed
