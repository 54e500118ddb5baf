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

"""The labelling page: frames of a collection by value, reviewed by one or several people. Independent of ROS."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from edgecam_core.cache import CacheError
from edgecam_core.collect import coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import DRAFT, REVIEWED, Box, CollectionError, KeptFrame, Review, ReviewConflict

from edgecam_viewer.answers import json_object, refusal

T = TypeVar("T")
OPEN = "open"
CLAIM_SECONDS = 120.0  # seconds; a frame open in one client is not offered to others for this long
MAX_BOXES = 1000
MAX_CLASSES = 1000
_SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}


class Labelling:
    """Serves one collection. Its requests are subject to the server's token and Origin checks.

    ``finished`` is called in the event loop when the last open frame has been reviewed.
    """

    def __init__(self, folder: str, finished: Callable[[], None] | None = None) -> None:
        self._folder = Path(folder)
        self._finished = finished
        self._frames: dict[str, KeptFrame] = {}  # the file of a frame never changes
        self._claims: dict[str, tuple[str, float]] = {}  # frame -> client, until when (monotonic)
        self._lock = asyncio.Lock()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/label/state", self._state)
        app.router.add_get("/label/next", self._next)
        app.router.add_get("/label/frame/{id}", self._frame)
        app.router.add_post("/label/frame/{id}", self._save)
        app.router.add_get("/label/image/{id}", self._image)
        app.router.add_post("/label/classes", self._classes)
        app.router.add_get("/label/coco.json", self._coco)

    async def _on_disk(self, work: Callable[[Collection], T]) -> T:
        """Run ``work`` in a thread, one at a time; errors become a response with their text."""
        async with self._lock:
            try:
                return await asyncio.to_thread(lambda: work(Collection.open(self._folder)))
            except ReviewConflict as error:
                raise refusal(web.HTTPConflict, str(error), current=asdict(error.current)) from None
            except CollectionError as error:
                raise refusal(web.HTTPNotFound, str(error)) from None
            except (CacheError, OSError) as error:
                raise refusal(web.HTTPInsufficientStorage, str(error)) from None

    def _known(self, collection: Collection) -> dict[str, KeptFrame]:
        names = set(collection.ids())
        for gone in self._frames.keys() - names:
            del self._frames[gone]
        for name in names - self._frames.keys():
            try:
                self._frames[name] = collection.frame(name)
            except CollectionError:
                continue
        return self._frames

    def _read(self, collection: Collection) -> tuple[dict[str, KeptFrame], dict[str, Review]]:
        frames = self._known(collection)
        # A frame with a damaged review is open; its page says so.
        return frames, {review.id: review for review in collection.reviews(damaged=lambda _error: None)}

    # Requests

    async def _state(self, _request: web.Request) -> web.Response:
        def summarise(collection: Collection) -> dict[str, Any]:
            frames, reviews = self._read(collection)
            states = Counter(reviews[name].state if name in reviews else OPEN for name in frames)
            done = [one for one in reviews.values() if one.state == REVIEWED]
            labels = Counter(box.label for one in done for box in one.boxes)
            return {
                "classes": list(collection.classes),
                "frames": len(frames),
                "states": dict(states),
                "boxes": dict(labels),
            }

        return web.json_response(await self._on_disk(summarise))

    async def _next(self, request: web.Request) -> web.Response:
        """The most valuable open or draft frame that no other client has claimed; continues after frame ``after``."""
        client, after = _client(request.query), request.query.get("after", "")
        now = time.monotonic()
        self._claims = {name: claim for name, claim in self._claims.items() if claim[1] > now}

        def choose(collection: Collection) -> str | None:
            frames, reviews = self._read(collection)
            todo = [name for name in frames if name not in reviews or reviews[name].state == DRAFT]
            free = [name for name in todo if self._claims.get(name, (client, 0.0))[0] == client]
            order = sorted(free, key=lambda name: (-frames[name].value, name))
            if after in order:  # continue after it, then from the start
                place = order.index(after) + 1
                order = order[place:] + order[:place]
            return order[0] if order else None

        chosen = await self._on_disk(choose)
        if chosen is not None:
            self._claim(chosen, client)
        return web.json_response({"id": chosen})

    def _claim(self, name: str, client: str) -> None:
        self._claims[name] = (client, time.monotonic() + CLAIM_SECONDS)

    async def _frame(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]

        def read(collection: Collection) -> dict[str, Any]:
            frame, review, problem = collection.frame(name), None, ""
            try:
                review = collection.review(name)
            except CollectionError as error:
                problem = f"{error}. The next review of this frame replaces it"
            try:
                collection.stored_image(frame)
            except CollectionError as error:
                problem = f"{error}. Skip it to continue"
            return {"frame": asdict(frame), "review": asdict(review) if review else None, "problem": problem}

        return web.json_response(await self._on_disk(read))

    async def _save(self, request: web.Request) -> web.Response:
        name, row = request.match_info["id"], await json_object(request)

        def save(collection: Collection) -> Review:
            return collection.save_review(_review(name, row, collection.frame(name)))

        saved = await self._on_disk(save)
        if saved.state == DRAFT and (client := _client(row)):  # it is still working on the frame
            self._claim(name, client)
        if self._finished is not None and saved.state == REVIEWED:
            _frames, left = await self._on_disk(self._open_frames)
            if not left:
                self._finished()
        return web.json_response({"revision": saved.revision})

    def _open_frames(self, collection: Collection) -> tuple[int, int]:
        frames, reviews = self._read(collection)
        left = sum(name not in reviews or reviews[name].state == DRAFT for name in frames)
        return len(frames), left

    async def _image(self, request: web.Request) -> web.StreamResponse:
        path = await self._on_disk(lambda collection: collection.image_path(collection.frame(request.match_info["id"])))
        if path.suffix not in _SUFFIXES or not path.is_file():
            raise refusal(web.HTTPNotFound, f"the image of {request.match_info['id']} no longer exists")
        headers = {"Content-Type": _SUFFIXES[path.suffix], "Cache-Control": "private, max-age=86400, immutable"}
        return web.FileResponse(path, headers=headers)

    async def _classes(self, request: web.Request) -> web.Response:
        names = (await json_object(request)).get("classes")
        if not isinstance(names, list) or len(names) > MAX_CLASSES or not all(_is_label(name) for name in names):
            raise refusal(web.HTTPBadRequest, f"'classes' must be a list of up to {MAX_CLASSES} names")
        await self._on_disk(lambda collection: collection.set_classes(name.strip() for name in names))
        return await self._state(request)

    async def _coco(self, _request: web.Request) -> web.StreamResponse:
        def export(collection: Collection) -> Path:
            coco.write(collection)
            return collection.root / coco.ANNOTATIONS

        path = await self._on_disk(export)
        return web.FileResponse(path, headers={"Content-Type": "application/json"})


def _review(name: str, row: dict[str, Any], frame: KeptFrame) -> Review:
    boxes, revision = row.get("boxes"), row.get("revision")
    if not isinstance(boxes, list) or len(boxes) > MAX_BOXES:
        raise refusal(web.HTTPBadRequest, f"'boxes' must be a list of up to {MAX_BOXES}")
    if not isinstance(revision, int) or isinstance(revision, bool):
        raise refusal(web.HTTPBadRequest, "'revision' must be the number of the revision that was edited")
    try:
        parsed = tuple(Box.parse(box, frame.size) for box in boxes)
    except CollectionError as error:
        raise refusal(web.HTTPBadRequest, str(error)) from None
    reviewer = str(row.get("reviewer", ""))[:80]
    return Review(name, str(row.get("state")), parsed, reviewer, revision, time.time_ns())


def _client(given: Mapping[str, Any]) -> str:
    return str(given.get("client", ""))[:80]


def _is_label(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name.strip()) <= 200
