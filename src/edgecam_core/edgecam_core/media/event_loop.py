"""A GLib main loop, for the libraries that need one."""

from __future__ import annotations

import importlib
import threading
import time

from edgecam_core.media.binding import load


class EventLoop:
    """A GLib main loop in its own thread, for libraries that need one (the RTSP server).

    ``context`` is what such a library is attached to.
    """

    def __init__(self) -> None:
        load()
        glib = importlib.import_module("gi.repository.GLib")
        self.context = glib.MainContext.new()
        self._loop = glib.MainLoop.new(self.context, False)
        self._thread = threading.Thread(target=self._loop.run, name="glib", daemon=True)
        self._thread.start()
        while not self._loop.is_running():  # until then quit() has no effect
            time.sleep(0.001)

    def stop(self) -> None:
        """End the loop; blocks until its thread has ended."""
        self._loop.quit()
        self._thread.join(5.0)
