"""Requests to the viewer's web server, and one that runs."""

from __future__ import annotations

from typing import Any

import aiohttp
from edgecam_viewer.wire import unpack
from viewer_served import Served


async def get(served: Served, path: str, **options: Any) -> tuple[int, bytes, Any]:
    async with aiohttp.ClientSession() as session:
        request = session.get(served.base + path, allow_redirects=False, **options)
        async with request as answer:
            return answer.status, await answer.read(), answer.headers


async def first_frames(socket_: aiohttp.ClientWebSocketResponse, count: int) -> list[dict]:
    frames: list[dict] = []
    while len(frames) < count:
        message = await socket_.receive(timeout=120)
        if message.type is aiohttp.WSMsgType.BINARY:
            frames.append(unpack(message.data)[0])
    return frames
