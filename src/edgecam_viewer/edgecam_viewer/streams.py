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

"""The streams of the web server: the WebSocket of the page, MJPEG, single frames, and the status as JSON."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WSMsgType, web
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_ros.faults import FaultLog

from edgecam_viewer.fault_log import watch
from edgecam_viewer.hub import Client, Hub
from edgecam_viewer.video import Video
from edgecam_viewer.wire import FrameMessage

MESSAGE_LIMIT = 64 * 1024  # bytes; a page sends short requests and, for WebRTC, an SDP answer
HEARTBEAT = 20.0
SNAPSHOT_WAIT = 5.0
GOODBYE_TIMEOUT = 0.3  # seconds for the closing handshake of the WebSockets
MAX_NAME, MAX_CAMERAS = 40, 1000  # of the requests that a refusal names
REFUSALS = 16  # that may be queued for a viewer
BOUNDARY = "edgecam-frame"


class PipelineControl(Protocol):
    """The viewers' requests to the pipeline; called on the event loop, must not block."""

    def ask(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        """Carry out ``request["type"]`` and call ``answer`` once, from any thread.

        Raises:
            EdgecamError: the request is unknown or cannot be carried out; the text is shown to the viewer.
        """


class Streams:
    """The request handlers, which all run in the event loop."""

    def __init__(
        self, hub: Hub, control: PipelineControl, stall_timeout: float, faults: FaultLog, video: Video | None = None
    ) -> None:
        self.hub = hub
        self.stall_timeout = stall_timeout
        self.counters = Counters()
        self._faults = faults
        self._control = control
        self._video = video
        self._transports: dict[Client, Callable[[], None]] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        self._reaper: asyncio.Task | None = None
        self._refusals = itertools.count()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/ws", self.websocket)
        app.router.add_get("/stream.mjpg", self.mjpeg, allow_head=False)
        app.router.add_get("/snapshot.jpg", self.snapshot)
        app.router.add_get("/api/status", self.status)

    def start(self) -> None:
        self._reaper = asyncio.create_task(self._disconnect_stalled())
        watch(self._faults, "search for stalled viewers", self._reaper)

    async def stop(self) -> None:
        """Notify the viewers of the shutdown and abort unresponsive ones. Takes up to GOODBYE_TIMEOUT."""
        if self._reaper is not None:
            self._reaper.cancel()
        goodbyes = [asyncio.create_task(one.close(code=1001, message=b"viewer stops")) for one in list(self._sockets)]
        if goodbyes:
            await asyncio.wait(goodbyes, timeout=GOODBYE_TIMEOUT)
        for abort in list(self._transports.values()):
            abort()

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response(text=self.hub.notes.get("status", "{}"))

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        client = self._admit(request, range(self.hub.cameras))
        # No permessage-deflate, because JPEG data does not compress.
        link = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MESSAGE_LIMIT, compress=False)
        try:
            await link.prepare(request)
            self._sockets.add(link)
            sender = asyncio.create_task(self._send(link, client))
            watch(self._faults, "sending to a viewer", sender)
            try:
                await self._listen(link, client)
            finally:
                sender.cancel()
        finally:
            self._sockets.discard(link)
            self._dismiss(client)
        return link

    async def _send(self, link: web.WebSocketResponse, client: Client) -> None:
        while True:
            item = await client.next()
            client.began()
            try:
                if isinstance(item, str):
                    await link.send_str(item)
                else:
                    await link.send_bytes(item.message)
                    self.hub.meter.add(time.monotonic(), len(item.message))
            except ConnectionError:  # the viewer has left; the reading side ends the handler
                return
            client.done()

    async def _listen(self, link: web.WebSocketResponse, client: Client) -> None:
        async for message in link:
            if message.type is not WSMsgType.TEXT:
                if message.type is WSMsgType.ERROR:
                    self.counters.add("message refused")
                break
            request: dict[str, Any] = {}
            try:
                request = _parse(message.data)
                self._request(client, request)
            except EdgecamError as error:
                self._refuse(client, request, str(error))
            except Exception as error:  # a message must not end the connection or the viewer node
                self._faults.add("message of a viewer", error)
                self._refuse(client, request, "this message could not be processed")

    def _refuse(self, client: Client, request: dict[str, Any], text: str) -> None:
        """Tell the viewer, with the type and the camera of the request if it has such."""
        self.counters.add("message refused")
        slot = f"refusal {next(self._refusals) % REFUSALS}"
        client.offer(slot, json.dumps({"type": "refused", **_name(request), "text": text}))

    def _request(self, client: Client, request: dict[str, Any]) -> None:
        kind = request["type"]
        if kind == "ping":
            answer = {"type": "pong", "sent": _finite(request.get("sent")), "server_ms": time.time() * 1000}
            client.offer("pong", json.dumps(answer))
        elif kind == "watch":
            self.hub.watch(client, _camera_list(request, "cameras"), _camera_list(request, "video", []))
            if self._video is not None:
                self._video.watch(client, client.video)
        elif kind == "answer":
            self._answer(client, request)
        else:
            self._control.ask(request, functools.partial(self._tell, client, kind))

    def _tell(self, client: Client, kind: str, answer: dict[str, Any]) -> None:
        # One queued answer per kind and camera: a viewer that does not read cannot fill the queue with requests.
        self.hub.tell(client, f"answer {kind} {answer.get('camera')}", json.dumps({"type": kind, **answer}))

    def _answer(self, client: Client, request: dict[str, Any]) -> None:
        camera, sdp = request.get("camera"), request.get("sdp")
        if self._video is None or type(camera) is not int or not isinstance(sdp, str):
            raise EdgecamError('"answer" needs "camera", a number, and "sdp", a text, and WebRTC must be enabled')
        self._video.answer(client, camera, sdp)

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        client = self._admit(request, [self._camera(request)])
        response = web.StreamResponse(
            headers={
                "Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}",
                "Cache-Control": "no-store",
            }
        )
        try:
            await response.prepare(request)
            while True:
                item = await client.next()
                if not isinstance(item, FrameMessage):
                    # Notes arrive once a second; without frames, only here can a closed connection be noticed.
                    if request.transport is None or request.transport.is_closing():
                        break
                    continue
                client.began()
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(item.jpeg)}\r\n\r\n"
                await response.write(b"".join((head.encode(), item.jpeg, b"\r\n")))
                client.done()
                self.hub.meter.add(time.monotonic(), len(item.jpeg))
        except ConnectionError:
            pass
        finally:
            self._dismiss(client)
        return response

    async def snapshot(self, request: web.Request) -> web.Response:
        client = self._admit(request, [self._camera(request)])
        try:
            frame = await asyncio.wait_for(_first_frame(client), SNAPSHOT_WAIT)
        except asyncio.TimeoutError:
            raise web.HTTPServiceUnavailable(text="no frame has arrived from this camera\n") from None
        finally:
            self._dismiss(client)
        headers = {"Cache-Control": "no-store", "X-Stamp": str(frame.stamp_ns)}
        return web.Response(body=bytes(frame.jpeg), content_type="image/jpeg", headers=headers)

    def _camera(self, request: web.Request) -> int:
        text = request.query.get("camera", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) < self.hub.cameras):
            raise web.HTTPNotFound(text=f"there is no such camera; there are cameras 0 to {self.hub.cameras - 1}\n")
        return int(text)

    def _admit(self, request: web.Request, cameras: range | list[int]) -> Client:
        if self.hub.full():
            self.hub.refused += 1
            text = f"the maximum of {self.hub.max_viewers} viewers is reached (parameter 'max_viewers')\n"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "5"})
        client = Client(cameras)
        transport = request.transport
        if transport is not None:
            # Buffered bytes are old frames, so limit the buffer to one frame.
            transport.set_write_buffer_limits(high=64 * 1024)
            self._transports[client] = transport.abort
        self.hub.join(client)
        return client

    def _dismiss(self, client: Client) -> None:
        self._transports.pop(client, None)
        self.hub.leave(client)
        if self._video is not None:
            self._video.watch(client, ())

    async def _disconnect_stalled(self) -> None:
        """Once a second, disconnect the viewers that have stopped reading."""
        while True:
            await asyncio.sleep(1.0)
            for client in self.hub.stalled(self.stall_timeout):
                abort = self._transports.pop(client, None)
                if abort is not None:
                    self.hub.shed += 1
                    abort()


async def _first_frame(client: Client) -> FrameMessage:
    while True:
        item = await client.next()
        if isinstance(item, FrameMessage):
            return item


def _parse(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise EdgecamError("a message must be JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("type"), str):
        raise EdgecamError('a message must be a JSON object with a "type"')
    return request


def _name(request: dict[str, Any]) -> dict[str, Any]:
    """Type and camera (0 if there is none) of a request, as the page sends them; empty for other values."""
    kind, camera = request.get("type", ""), request.get("camera", 0)
    usable = 0 < len(kind) <= MAX_NAME and type(camera) is int and 0 <= camera < MAX_CAMERAS
    return {"request": kind, "camera": camera} if usable else {}


def _finite(value: object) -> int | float:
    """A finite number. Python's JSON parser accepts NaN and infinity, but the page's parser does not."""
    if type(value) not in (int, float) or not -1e300 < value < 1e300:  # type: ignore[operator]
        raise EdgecamError('"ping" needs "sent", a finite number')
    return value  # type: ignore[return-value]


def _camera_list(request: dict[str, Any], name: str, default: list[int] | None = None) -> list[int]:
    cameras = request.get(name, default)
    if not isinstance(cameras, list) or not all(type(one) is int for one in cameras):
        raise EdgecamError(f'"watch" needs "{name}", a list of numbers')
    return cameras
