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

"""Pushes JPEG images from a web server into the pipeline: an MJPEG stream, or one image that is polled."""

from __future__ import annotations

import threading
import time

import numpy as np

from edgecam_core.camera.http_client import Response, get
from edgecam_core.camera.jpeg_stream import JpegSplitter
from edgecam_core.camera.uri import Login
from edgecam_core.errors import EdgecamError, SourceError
from edgecam_core.media import gst

POLL_RATE = 2.0
"""Images per second if ``framerate`` is 0."""


class JpegFeeder:
    """Reads in a separate thread until stopped. ``error`` is the error that ended the thread, or None.

    Args:
        pipeline: has an appsrc named ``feed``.
        url: the address, without credentials.
        polled: the address returns one image per request; it is requested ``rate`` times per second.
    """

    def __init__(
        self, pipeline: gst.Pipeline, url: str, login: Login, polled: bool, rate: float, timeout: float
    ) -> None:
        self.error: EdgecamError | None = None
        self._pipeline = pipeline
        self._url, self._login, self._timeout = url, login, timeout
        self._polled = polled
        self._period = 1 / (rate or POLL_RATE)
        self._stopping = threading.Event()
        self._response: Response | None = None
        self._thread = threading.Thread(target=self._run, name="camera-http", daemon=True)
        self._thread.start()

    can_step = False

    def step(self) -> None:
        """Has no effect: this source does not wait for steps."""

    def stop(self) -> None:
        """Call after stopping the pipeline, which unblocks a waiting push.

        Waits up to a second for the thread; a connection attempt in progress ends later.
        """
        self._stopping.set()
        if self._response is not None:
            self._response.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stopping.is_set():
                self._read_one()
                due = max(due + self._period, time.monotonic())
                if not self._polled:
                    raise SourceError("the server ended the stream")
                self._stopping.wait(max(0.0, due - time.monotonic()))
        except EdgecamError as error:
            self.error = error

    def _read_one(self) -> None:
        """Read one response until it ends."""
        self._response = response = get(self._url, self._login, self._timeout)
        try:
            splitter = JpegSplitter()
            while not self._stopping.is_set() and (data := response.read()):
                for image in splitter.feed(data):
                    self._push(image)
        finally:
            response.close()

    def _push(self, image: bytes) -> None:
        buffer = gst.buffer_of(np.frombuffer(image, np.uint8))
        self._pipeline.push(buffer, "feed")
