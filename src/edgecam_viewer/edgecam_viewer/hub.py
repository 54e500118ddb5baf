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

"""Distributes frames to the viewers: each gets the newest frame, and a slow viewer does not delay others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from edgecam_core.counters import Meter

from edgecam_viewer.wire import FrameMessage


class Client:
    """The send queue of one viewer: the newest frame of each camera and the newest note of each kind.

    ``cameras`` are the cameras whose JPEG frames it gets, ``video`` those that it watches over WebRTC. Use only in the
    event loop.
    """

    def __init__(self, cameras: Iterable[int]) -> None:
        self.cameras = frozenset(cameras)
        self.video: frozenset[int] = frozenset()
        self.skipped = 0
        self.sent = 0
        self.busy_since: float | None = None
        self._slots: dict[int | str, FrameMessage | str] = {}
        self._wake = asyncio.Event()

    def offer(self, key: int | str, item: FrameMessage | str) -> None:
        """Queue ``item``; it replaces a queued item with the same key."""
        if key in self._slots and isinstance(item, FrameMessage):
            self.skipped += 1
        self._slots[key] = item  # in the place of the old item, so that no key starves another
        self._wake.set()

    async def next(self) -> FrameMessage | str:
        """Wait for the next item to send: a note (JSON text) or a frame."""
        while not self._slots:
            self._wake.clear()
            await self._wake.wait()
        return self._slots.pop(next(iter(self._slots)))

    def began(self) -> None:
        """A send has started."""
        self.busy_since = time.monotonic()

    def done(self) -> None:
        """The send has completed."""
        self.busy_since = None
        self.sent += 1

    def stalled(self, now: float, timeout: float) -> bool:
        """Whether a send has been in progress for longer than ``timeout`` seconds."""
        return self.busy_since is not None and now - self.busy_since > timeout


class Hub:
    """Holds the viewers and distributes published frames and notes to them.

    ``publish``, ``note`` and ``tell`` are thread-safe; ``watchers`` (of JPEG frames) and ``video`` (watchers over
    WebRTC), by camera, may be read from any thread. Use the rest in the event loop only.
    """

    def __init__(self, cameras: int, max_viewers: int) -> None:
        self.cameras = cameras
        self.max_viewers = max_viewers
        self.watchers = [0] * cameras
        self.video = [0] * cameras
        self.notes: dict[str, str] = {}
        self.meter = Meter()  # value: bytes sent
        self.refused = 0
        self.shed = 0
        self._clients: set[Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Set the event loop of the viewers; None when it ends, after which publishing has no effect."""
        self._loop = loop

    @property
    def viewers(self) -> int:
        return len(self._clients)

    @property
    def skipped(self) -> int:
        """Number of frames for which connected viewers were too slow."""
        return sum(client.skipped for client in list(self._clients))

    def full(self) -> bool:
        return len(self._clients) >= self.max_viewers

    def join(self, client: Client) -> None:
        self._clients.add(client)
        self._count()
        for kind, text in self.notes.items():
            client.offer(kind, text)

    def leave(self, client: Client) -> None:
        self._clients.discard(client)
        self._count()

    def watch(self, client: Client, cameras: Iterable[int], video: Iterable[int] = ()) -> None:
        """Send this client only the frames of these cameras; ignores cameras that do not exist."""
        known = frozenset(range(self.cameras))
        client.cameras, client.video = frozenset(cameras) & known, frozenset(video) & known
        self._count()

    def publish(self, frame: FrameMessage) -> None:
        """Send the frame to all viewers of its camera."""
        self._call(self._fan_out, frame)

    def note(self, kind: str, text: str) -> None:
        """Send a JSON text to all viewers, and to new viewers when they connect."""
        self._call(self._fan_out_note, kind, text)

    def tell(self, client: Client, kind: str, text: str) -> None:
        """Send a JSON text to one viewer. Thread-safe."""
        self._call(client.offer, kind, text)

    def stalled(self, timeout: float) -> list[Client]:
        now = time.monotonic()
        return [client for client in self._clients if client.stalled(now, timeout)]

    def _call(self, function: Callable[..., None], *args: object) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop was closed meanwhile, so there are no viewers
            pass

    def _fan_out(self, frame: FrameMessage) -> None:
        for client in self._clients:
            if frame.camera in client.cameras:
                client.offer(frame.camera, frame)

    def _fan_out_note(self, kind: str, text: str) -> None:
        self.notes[kind] = text
        for client in self._clients:
            client.offer(kind, text)

    def _count(self) -> None:
        clients, cameras = self._clients, range(self.cameras)
        self.watchers = [sum(camera in client.cameras for client in clients) for camera in cameras]
        self.video = [sum(camera in client.video for client in clients) for camera in cameras]
