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

"""A GLib main loop, for the libraries that need one."""

from __future__ import annotations

import importlib
import threading
import time

from edgecam_core.media.binding import load


class EventLoop:
    """A GLib main loop in a separate thread, for libraries that need one (the RTSP server).

    Attach the library to ``context``.
    """

    def __init__(self) -> None:
        load()
        glib = importlib.import_module("gi.repository.GLib")
        self.context = glib.MainContext.new()
        self._loop = glib.MainLoop.new(self.context, False)
        self._thread = threading.Thread(target=self._loop.run, name="glib", daemon=True)
        self._thread.start()
        while not self._loop.is_running():  # quit() has no effect before
            time.sleep(0.001)

    def stop(self) -> None:
        """End the loop; blocks until its thread has ended."""
        self._loop.quit()
        self._thread.join(5.0)
