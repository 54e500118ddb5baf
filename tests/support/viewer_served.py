"""The viewer's web server with simulated cameras, without ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from edgecam_core.errors import EdgecamError
from edgecam_ros.faults import FaultLog
from edgecam_viewer.hub import Hub
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from edgecam_viewer.wire import pack

JPEG = np.frombuffer(b"\xff\xd8 not a real frame \xff\xd9", np.uint8)


class Echo:
    """Grants requests of type "echo", refuses all others."""

    def ask(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        if request["type"] != "echo":
            raise EdgecamError(f"{request['type']!r} is not a known request")
        threading.Thread(target=answer, args=({"value": request.get("value")},)).start()


class Served:
    """A running server whose cameras deliver 50 frames per second of ``size`` bytes, or none if ``silent``."""

    def __init__(self, size: int = 0, cameras: int = 2, silent: bool = False, **settings: Any) -> None:
        self.silent = silent
        self.settings = ViewerSettings(
            port=0, image_topics=tuple(f"camera{n}/image_raw" for n in range(cameras)), **settings
        )
        self.hub = Hub(cameras, self.settings.max_viewers)
        self.log: list[str] = []
        self.faults = FaultLog(self.log.append)
        self.server = WebServer(self.settings, self.hub, Echo(), self.faults)
        self.jpeg = np.resize(JPEG, size) if size else JPEG
        self.stamp = 0
        self._ending = threading.Event()
        self._source = threading.Thread(target=self._publish)

    def __enter__(self) -> Served:
        self.server.start()
        self._source.start()
        self.base = f"http{'s' if self.settings.tls_key else ''}://127.0.0.1:{self.server.port}"
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self._source.join()
        self.server.stop()

    def _publish(self) -> None:
        while not self._ending.wait(0.02):
            self.stamp += 1
            for camera in range(0 if self.silent else self.hub.cameras):
                self.hub.publish(pack(camera, self.stamp, (64, 48), [], self.jpeg))
