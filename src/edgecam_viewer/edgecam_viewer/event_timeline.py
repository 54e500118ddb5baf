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

"""The timeline: events of a folder with their snapshots and clips, newest first. Independent of ROS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from edgecam_core.errors import EdgecamError
from edgecam_core.events.clips import jpeg_frames
from edgecam_core.events.index import EventIndex, StoredEvent, StoreError

from edgecam_viewer.answers import refusal

T = TypeVar("T")
PAGE = 50  # events in one response
FILTERS = ("camera", "rule", "label", "zone", "kind")
TYPES = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".mkv": "video/x-matroska"}
MULTIPART = {"Content-Type": "multipart/x-mixed-replace; boundary=frame", "Cache-Control": "no-store"}
MAX_DECODED = 4  # clips decoded for browsers at a time
MAX_MS = 2**53  # JavaScript's largest whole number


class EventTimeline:
    """Serves the events of one folder. Its requests are subject to the server's token and Origin checks.

    Files are served by event id and only from inside the folder; clips by ranges, so that browsers can seek.
    """

    def __init__(self, folder: str) -> None:
        self._index = EventIndex(folder)
        self._decoded = 0

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/events/list", self._list)
        app.router.add_get("/events/choices", self._choices)
        app.router.add_get("/events/{what:snapshot|clip}/{id}", self._file)
        app.router.add_get("/events/frames/{id}", self._frames)

    async def _read(self, work: Callable[[EventIndex], T]) -> T:
        """Run ``work`` in a thread; an error of the index becomes a response with its text."""
        try:
            return await asyncio.to_thread(work, self._index)
        except StoreError as error:
            raise refusal(web.HTTPServiceUnavailable, str(error)) from None

    async def _list(self, request: web.Request) -> web.Response:
        """The events, newest first.

        ``before`` is the number of the last event on the previous page; ``since`` and ``until`` are Unix milliseconds.
        """
        filters = {name: request.query.get(name, "")[:200] for name in FILTERS}
        since, until, before = (_whole(request, name) for name in ("since", "until", "before"))

        def find(index: EventIndex) -> list[StoredEvent]:
            bounds = {"since_ns": _ns(since), "until_ns": _ns(until), "before": before}
            return index.find(**filters, **bounds, limit=PAGE + 1)  # type: ignore[arg-type]

        found = await self._read(find)
        return web.json_response({"events": [_row(one) for one in found[:PAGE]], "more": len(found) > PAGE})

    async def _choices(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._read(lambda index: index.choices()))

    async def _path(self, request: web.Request, what: str) -> Path:
        name = request.match_info["id"]
        path = await self._read(lambda index: index.path(name, what))
        if path is None or path.suffix not in TYPES:
            raise refusal(web.HTTPNotFound, f"the {what} of this event does not exist, or no longer exists")
        return path

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = await self._path(request, request.match_info["what"])
        headers = {"Content-Type": TYPES[path.suffix], "Cache-Control": "private, max-age=3600"}
        return web.FileResponse(path, headers=headers)

    async def _frames(self, request: web.Request) -> web.StreamResponse:
        """A clip as JPEG frames at its frame rate, played once, for browsers that cannot play its codec."""
        path = await self._path(request, "clip")
        if self._decoded >= MAX_DECODED:
            raise refusal(web.HTTPServiceUnavailable, f"{MAX_DECODED} clips are already playing; try again later")
        self._decoded += 1
        frames = jpeg_frames(path)
        thread = ThreadPoolExecutor(1, "clip")  # a generator runs, and is closed, in one thread
        loop = asyncio.get_running_loop()
        response: web.StreamResponse | None = None
        try:
            frame = await loop.run_in_executor(thread, next, frames, None)
            if frame is None:
                raise refusal(web.HTTPUnprocessableEntity, "this clip contains no frame")
            response = web.StreamResponse(headers=MULTIPART)
            await response.prepare(request)
            begin = loop.time() - frame[0] / 1e9
            while frame is not None:
                time_ns, jpeg = frame
                await asyncio.sleep(max(0.0, begin + time_ns / 1e9 - loop.time()))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                await response.write(head.encode() + jpeg + b"\r\n")
                frame = await loop.run_in_executor(thread, next, frames, None)
            await response.write(b"--frame--\r\n")
            return response
        except EdgecamError as error:
            if response is None:
                raise refusal(web.HTTPUnprocessableEntity, f"{path.name}: {error}") from None
            return response  # the frames before the damage have been sent
        finally:
            self._decoded -= 1
            thread.submit(frames.close)
            thread.shutdown(wait=False)


def _row(event: StoredEvent) -> dict[str, Any]:
    """One event as JSON; times as milliseconds, since a JavaScript number cannot hold nanoseconds."""
    row = asdict(event)
    for name in ("start_ns", "end_ns", "stored_ns"):
        value = row.pop(name)
        row[name.removesuffix("_ns") + "_ms"] = None if value is None else value // 1_000_000
    return row


def _whole(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:17]) <= MAX_MS and len(text) < 17):
        raise refusal(web.HTTPBadRequest, f"{name!r} must be a whole number")
    return int(text)


def _ns(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds * 1_000_000
