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

"""An RTSP server (RFC 2326) that serves the sender's coded stream to recorders, VLC and phones."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import Codec

INSTALL = "sudo apt-get install gir1.2-gst-rtsp-server-1.0"
MAX_QUEUED_BYTES = 4 << 20  # a slower client skips to the next keyframe


class RtspServer:
    """Serves access units to any number of clients at ``rtsp://<this machine>:<port>/<path>``.

    ``on_join`` is called from any thread when a client needs a keyframe.

    Raises:
        MissingDependency: the library is not installed.
        SettingError: the port is in use.
    """

    def __init__(self, codec: Codec, port: int, path: str, on_join: Any) -> None:
        try:
            library = gst.library("GstRtspServer")
        except (MissingDependency, ImportError):
            raise MissingDependency("GStreamer's RTSP server library", INSTALL) from None
        self._codec = codec
        self._on_join = on_join
        self._lock = threading.Lock()
        self._source: Any = None
        self._waiting = True
        self.clients = 0
        self._loop = gst.EventLoop()
        self._server = library.RTSPServer()
        self._server.set_service(str(port))
        self._handlers = [(self._server, self._server.connect("client-connected", self._connected))]
        factory = library.RTSPMediaFactory()
        factory.set_launch(launch_text(codec))
        factory.set_shared(True)  # one pipeline for all clients
        self._handlers.append((factory, factory.connect("media-configure", self._configure)))
        self._server.get_mount_points().add_factory("/" + path.strip("/"), factory)
        self._attached = self._server.attach(self._loop.context)
        if not self._attached:
            self._loop.stop()
            raise SettingError("rtsp_port", port, "is in use by another program; stop it or choose a free port")

    def _connected(self, _server: Any, client: Any) -> None:
        self.clients += 1
        client.connect("closed", self._disconnected)
        client.connect("play-request", lambda *_: self._on_join())

    def _disconnected(self, _client: Any) -> None:
        self.clients -= 1

    def _configure(self, _factory: Any, media: Any) -> None:
        source = media.get_element().get_by_name_recurse_up("src")
        self._begin(source)  # the description of the stream needs a keyframe, before the client plays
        # appsrc stamps by the base time, which a pipeline otherwise sets only after the clock: keep it 0.
        media.get_element().get_parent().set_start_time(gst.load().CLOCK_TIME_NONE)
        media.connect("new-state", self._on_state, source)
        media.connect("unprepared", self._forget, source)

    def _on_state(self, media: Any, state: int, source: Any) -> None:
        """Feed the pipeline only while a client plays: one that paused does not get afterwards what it missed."""
        if state == int(gst.load().State.PLAYING):
            self._begin(source)
        else:
            self._forget(media, source)

    def _forget(self, _media: Any, source: Any) -> None:
        with self._lock:
            if self._source is source:  # not if the next client has come meanwhile
                self._source = None

    def _begin(self, source: Any) -> None:
        with self._lock:
            self._source, self._waiting = source, True
        self._on_join()

    def push(self, nals: list[bytes], keyframe: bool) -> None:
        """Send one access unit to the clients, starting with a keyframe; a no-op without clients."""
        with self._lock:
            source = self._source
            if source is None:
                return
            if source.get_property("current-level-bytes") > MAX_QUEUED_BYTES:
                self._waiting = True
            if self._waiting and not keyframe:
                return
            self._waiting = False
        source.emit("push-buffer", gst.buffer_of(np.frombuffer(nal.join(nals), np.uint8)))

    def stop(self) -> None:
        """Disconnect the clients and free the port."""
        self._server.client_filter(self._end_client)
        self._loop.context.find_source_by_id(self._attached).destroy()  # frees the port now
        self._loop.stop()
        for owner, number in self._handlers:  # they reference this object and would keep it alive
            owner.disconnect(number)
        with self._lock:
            self._source = None

    def _end_client(self, _server: Any, _client: Any) -> Any:
        return gst.library("GstRtspServer").RTSPFilterResult.REMOVE


def launch_text(codec: Codec) -> str:
    """The server's pipeline from access units to the clients' packets."""
    payloader = {"h265": "rtph265pay", "h264": "rtph264pay"}[codec.name]
    return (
        "( appsrc name=src is-live=true format=time do-timestamp=true max-bytes=0 "
        f"caps={codec.media_type},stream-format=byte-stream,alignment=au ! {codec.parser} ! "
        f"{payloader} name=pay0 pt=96 config-interval=-1 )"
    )
