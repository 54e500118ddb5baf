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

"""Opens and closes the WebRTC connections of the viewers, outside the event loop."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_core.media.encoders import choose
from edgecam_core.priority import lower_priority
from edgecam_ros.faults import FaultLog

from edgecam_viewer.broadcast import Broadcast
from edgecam_viewer.fault_log import watch
from edgecam_viewer.feed import AnnotatedFrame
from edgecam_viewer.hub import Client, Hub
from edgecam_viewer.peer import WebRtcPeer, require
from edgecam_viewer.settings import ViewerSettings


class Video:
    """Manages the WebRTC connections.

    Call ``watch`` and ``answer`` in the event loop, ``submit`` on any thread; none of them blocks. Connections are
    opened one after the other in a separate thread. A viewer receives the offer of each camera in a note of type
    ``offer``, and data about frames in notes of type ``video`` (see broadcast.py).

    Raises:
        MissingDependency: a dependency of WebRTC or H.264 is not installed.
    """

    def __init__(self, settings: ViewerSettings, hub: Hub, faults: FaultLog) -> None:
        require()
        choose("auto", "h264")
        self.counters = Counters()
        self._host = settings.host
        self._hub = hub
        self._faults = faults
        self.broadcasts = [Broadcast(camera, settings, self.counters, faults) for camera in range(hub.cameras)]
        self._peers: dict[tuple[Client, int], WebRtcPeer] = {}
        self._watched: dict[Client, frozenset[int]] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "webrtc", lower_priority, (settings.niceness,))

    @property
    def connections(self) -> int:
        return len(self._peers)

    def watch(self, client: Client, cameras: Iterable[int]) -> None:
        """Set the cameras for which this viewer has a connection."""
        with self._lock:
            waiting = client in self._watched
            self._watched[client] = frozenset(cameras)
        if not waiting:
            self._do(self._follow, client)

    def answer(self, client: Client, camera: int, sdp: str) -> None:
        """Apply the viewer's answer to the offer; an invalid answer is counted and ends the connection."""
        self._do(self._answer, client, camera, sdp)

    def submit(self, camera: int, annotated: AnnotatedFrame) -> None:
        self.broadcasts[camera].submit(annotated)

    def facts(self, now: float) -> dict[str, object]:
        """Values for the diagnostics; ``now`` is in monotonic seconds."""
        return {
            "webrtc_connections": self.connections,
            "video_encoders": sum(one.encoding for one in self.broadcasts),
            "video_fps": sum(one.meter.rate(now) for one in self.broadcasts),
        }

    def stop(self) -> None:
        """End all connections and encoders. Blocks for several milliseconds each."""
        for client in {client for client, _ in list(self._peers)}:
            self.watch(client, ())
        self._worker.shutdown(wait=True)

    def _do(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            watch(self._faults, "WebRTC connection", self._worker.submit(work, *arguments))
        except RuntimeError:  # the viewer is stopping; connections are no longer opened or closed here
            pass

    def _follow(self, client: Client) -> None:
        with self._lock:
            watched = self._watched.pop(client)
        for camera, broadcast in enumerate(self.broadcasts):
            there = (client, camera) in self._peers
            if there and camera not in watched:
                self._close(client, camera)
            elif camera in watched and not there:
                try:
                    self._open(client, camera, broadcast)
                except EdgecamError as error:
                    self.counters.add(f"no WebRTC connection: {error}")

    def _open(self, client: Client, camera: int, broadcast: Broadcast) -> None:
        tell = functools.partial(self._hub.tell, client)

        def offer(sdp: str) -> None:
            tell(f"offer {camera}", json.dumps({"type": "offer", "camera": camera, "sdp": sdp}))

        peer = WebRtcPeer(broadcast.ssrc, self._host, offer, broadcast.keyframe)
        self._peers[client, camera] = peer
        broadcast.join(client, peer, tell)

    def _close(self, client: Client, camera: int) -> None:
        self.broadcasts[camera].leave(client)
        self._peers.pop((client, camera)).close()

    def _answer(self, client: Client, camera: int, sdp: str) -> None:
        peer = self._peers.get((client, camera))
        try:
            if peer is None:
                raise EdgecamError("a WebRTC answer arrived without an offer")
            peer.answer(sdp)
        except EdgecamError as error:
            self.counters.add(str(error))
            if peer is not None:
                self._close(client, camera)
