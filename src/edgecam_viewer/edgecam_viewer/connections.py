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

"""Connection limiter: accepts the connections of the web server and closes idle ones.

It owns the listening socket and passes each accepted socket to aiohttp (``connect_accepted_socket``), so that it can
refuse a connection before aiohttp handles it. An idle connection needs no token, but uses resources.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from edgecam_core.counters import Counters
from edgecam_ros.faults import FaultLog

from edgecam_viewer.fault_log import watch

REQUEST_TIMEOUT = 10.0  # seconds to send a complete request, and until the next request
MAX_WAITING = 256  # idle connections from one address
MAX_CONNECTIONS = 512  # from all addresses
PERIOD = 1.0
SHORT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(eq=False)
class _Connection:
    address: str
    quiet: int = 0  # periods since it was accepted or its last request was answered
    opening: asyncio.Task[None] | None = None
    transport: asyncio.Transport | None = None

    def gone(self) -> bool:
        return self.transport.is_closing() if self.transport else bool(self.opening and self.opening.done())

    def end(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()


class Connections:
    """Limits the connections; runs in the event loop.

    If the limit is reached, a new connection replaces the oldest idle one of the address with the most idle ones, so
    that idle connections cannot lock out others.
    """

    def __init__(self, counters: Counters, faults: FaultLog) -> None:
        self._counters = counters
        self._faults = faults
        self._known: list[_Connection] = []  # the oldest first
        self._answering: set[asyncio.BaseTransport] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def]
        transport = request.transport
        if transport is None:
            return await handler(request)
        self._answering.add(transport)
        try:
            return await handler(request)
        finally:
            self._answering.discard(transport)
            for one in self._known:
                if one.transport is transport:
                    one.quiet = 0

    def start(
        self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None
    ) -> None:
        """Start accepting; the caller remains the owner of ``listening``."""
        listening.setblocking(False)
        self._tasks = [
            asyncio.create_task(self._accept(listening, protocol, tls)),
            asyncio.create_task(self._end_quiet()),
        ]
        for task in self._tasks:
            watch(self._faults, "accepting connections", task)

    def stop(self) -> None:
        """Stop accepting; existing connections continue."""
        for task in self._tasks:
            task.cancel()

    def end_all(self) -> None:
        for one in self._known:
            one.end()
        self._known.clear()

    async def _accept(
        self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                self._counters.add(f"connection not accepted: {error.strerror}")
                if error.errno in SHORT_OF_RESOURCES:
                    await asyncio.sleep(PERIOD)
                continue
            one = _Connection(network(address[0]))
            if not self._make_room(one.address):
                self._counters.add("connection refused: all are in use")
                accepted.close()
                continue
            self._known.append(one)
            one.opening = asyncio.create_task(self._open(one, accepted, protocol, tls))

    async def _open(
        self,
        one: _Connection,
        accepted: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        timeout = REQUEST_TIMEOUT if tls else None
        try:
            one.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                protocol, accepted, ssl=tls, ssl_handshake_timeout=timeout
            )
        except OSError:  # it disconnected, or does not use TLS (an SSLError is an OSError)
            self._counters.add("connection failed before its request")
        except Exception as error:
            self._faults.add("opening a connection", error)

    def _make_room(self, address: str) -> bool:
        """Close an idle connection if a new one from this address needs room; False if none can be closed."""
        if len(self._known) >= min(MAX_WAITING, MAX_CONNECTIONS):
            self._known = [one for one in self._known if not one.gone()]
        waiting = [one for one in self._known if one.transport not in self._answering]
        of_address = Counter(one.address for one in waiting)
        if of_address[address] >= MAX_WAITING:
            self._drop(waiting, address)
        elif len(self._known) >= MAX_CONNECTIONS:
            if not waiting:
                return False
            self._drop(waiting, of_address.most_common(1)[0][0])
        return True

    def _drop(self, waiting: list[_Connection], address: str) -> None:
        oldest = next(one for one in waiting if one.address == address)
        self._counters.add("waiting connection ended for a newer one")
        self._known.remove(oldest)
        oldest.end()

    async def _end_quiet(self) -> None:
        """Once a second, close the connections without a request for REQUEST_TIMEOUT.

        Counts periods in which this loop could read a request. By the clock, a loop that gets no CPU time would close
        connections whose requests it has not read.
        """
        while True:
            await asyncio.sleep(PERIOD)
            self._known = [one for one in self._known if not one.gone()]
            for one in self._known:
                one.quiet += 1
                if one.quiet * PERIOD > REQUEST_TIMEOUT and one.transport not in self._answering:
                    self._counters.add("connection without a request ended")
                    one.end()


def network(address: str) -> str:
    """The key for counting connections: an IPv4 address, or the /64 of an IPv6 address, which one machine may own."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
