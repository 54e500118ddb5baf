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

"""The web server: pages, WebSocket, MJPEG and JSON, in a separate thread and event loop. Independent of ROS."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from urllib.parse import quote

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError
from edgecam_ros.faults import FaultLog

from edgecam_viewer import pages
from edgecam_viewer.access import Access
from edgecam_viewer.connections import Connections
from edgecam_viewer.event_timeline import EventTimeline
from edgecam_viewer.hub import Hub
from edgecam_viewer.labelling import Labelling
from edgecam_viewer.listening import bind, outward_address, tls_context
from edgecam_viewer.proposals import Proposals
from edgecam_viewer.settings import ANY_ADDRESS, ViewerSettings, is_loopback
from edgecam_viewer.streams import PipelineControl, Streams
from edgecam_viewer.video import Video

BODY_LIMIT = 64 * 1024
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 1.5


class WebServer:
    """Serves one hub. ``start`` returns when the page can be opened; ``stop`` disconnects all viewers.

    Args:
        settings: address, port, token and folders to serve.
        hub: the source of frames and notes.
        control: carries out the viewers' requests.
        faults: receives unexpected exceptions of handlers and tasks.
        video: WebRTC; None for JPEG frames only.

    Raises:
        SettingError: the address, the port or a TLS file cannot be used.
    """

    def __init__(
        self, settings: ViewerSettings, hub: Hub, control: PipelineControl, faults: FaultLog, video: Video | None = None
    ) -> None:
        self.access = Access(settings.host, settings.token)
        self.streams = Streams(hub, control, settings.stall_timeout, faults, video)
        self._faults = faults
        self._connections = Connections(self.access.counters, faults)
        self._hub = hub
        self._tls = tls_context(settings.tls_certificate, settings.tls_key)
        self._settings = settings
        self._socket = bind(settings.host, settings.port)
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="web server", daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """The address to open, without the token."""
        host = self._settings.host
        if host in ANY_ADDRESS:
            host = outward_address(host)
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def url(self) -> str:
        """The address to open, with the token if one is needed."""
        return self.link("/") if self.access.token else self.address

    def link(self, path: str) -> str:
        """The address of a page (one of ``pages.ENTRIES``), with the token if one is needed."""
        query = f"?token={quote(self.access.token, safe='')}" if self.access.token else ""
        return f"{self.address}{path}{query}"

    @property
    def public(self) -> bool:
        """Whether other machines can reach the page."""
        return not is_loopback(self._settings.host)

    @property
    def public_without_tls(self) -> bool:
        return self._tls is None and self.public

    def start(self) -> None:
        """Blocks until the page can be opened.

        Raises:
            EdgecamError: the server did not start within START_TIMEOUT.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(START_TIMEOUT)
        except (TimeoutError, concurrent.futures.TimeoutError):
            raise EdgecamError(f"the web server did not start within {START_TIMEOUT:.0f} s") from None

    def stop(self) -> None:
        """Disconnect all viewers and free the port. Blocks for up to STOP_TIMEOUT, twice that if the loop is stuck."""
        self._hub.attach(None)
        try:
            if self._thread.is_alive():
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(STOP_TIMEOUT)
        except Exception as error:  # continue: socket and loop must be freed in any case
            self._faults.add("web server's stop", error)
        finally:
            self._socket.close()
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(STOP_TIMEOUT)
            if not self._loop.is_running():
                self._loop.close()

    async def _serve(self) -> None:
        self._hub.attach(asyncio.get_running_loop())
        app = web.Application(
            middlewares=[self._connections.middleware, self._report_faults, self.access.middleware],
            client_max_size=BODY_LIMIT,
        )
        pages.add_routes(app)
        self.streams.add_routes(app)
        if self._settings.collection:
            Labelling(self._settings.collection).add_routes(app)
        Proposals().add_routes(app)
        if self._settings.events:
            EventTimeline(self._settings.events).add_routes(app)
        logger = _logger(self.access.counters)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.2, handler_cancellation=True, logger=logger
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._connections.start(self._socket, self._runner.server, self._tls)
        self.streams.start()

    async def _close(self) -> None:
        self._connections.stop()
        await self.streams.stop()
        self._connections.end_all()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _report_faults(self, request: web.Request, handler) -> web.StreamResponse:  # type: ignore[no-untyped-def]
        try:
            return await handler(request)
        except (web.HTTPException, ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            self._faults.add("web request", error)
            raise web.HTTPInternalServerError(text="this request could not be processed\n") from error


def _logger(counters: Counters) -> logging.Logger:
    """aiohttp's logger for one server: requests that are not HTTP are counted, not printed with a traceback."""

    def keep(record: logging.LogRecord) -> bool:
        if not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)):
            return True
        counters.add("request refused: not HTTP")
        return False

    logger = logging.Logger(
        "edgecam_viewer.server", logging.WARNING
    )  # not registered, so that it is freed with the server
    logger.parent = logging.getLogger()
    logger.addFilter(keep)
    return logger
