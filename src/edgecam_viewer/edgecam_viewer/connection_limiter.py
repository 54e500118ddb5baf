"""Ends connections that ask for nothing: they take a place and a descriptor, and need no token."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web
from edgecam_core.counters import Counters

PATIENCE = 10.0  # seconds to send a whole request, and to send the next one
SPARE = 256  # connections beside those of the viewers
PERIOD = 1.0


class ConnectionLimiter:
    """Counts and times the connections of an aiohttp server. Lives in the event loop."""

    def __init__(self, counters: Counters, max_viewers: int) -> None:
        self._counters = counters
        self._most = max_viewers + SPARE
        self._asking: set[asyncio.Transport] = set()
        self._quiet_since: dict[asyncio.Transport, float] = {}
        self._watch: asyncio.Task | None = None

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def]
        transport = request.transport
        if transport is not None:
            self._asking.add(transport)
            self._quiet_since.pop(transport, None)
        try:
            return await handler(request)
        finally:
            if transport is not None:
                self._asking.discard(transport)

    def start(self, server: web.Server) -> None:
        """Watch over this server's connections from now on."""
        accept = server.connection_made

        def connection_made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
            accept(handler, transport)
            if len(server.connections) > self._most:
                self._counters.add("connection refused")
                transport.abort()

        server.connection_made = connection_made  # type: ignore[method-assign]
        self._watch = asyncio.create_task(self._look(server))

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _look(self, server: web.Server) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self._end_quiet(server, time.monotonic())

    def _end_quiet(self, server: web.Server, now: float) -> None:
        there = {one.transport for one in server.connections if one.transport is not None}
        quiet = there - self._asking
        self._quiet_since = {one: self._quiet_since.get(one, now) for one in quiet}
        for transport, since in self._quiet_since.items():
            if now - since > PATIENCE:
                self._counters.add("connection without a request ended")
                transport.abort()
