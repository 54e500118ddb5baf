"""The web server: page, WebSocket, MJPEG and JSON, on a thread and event loop of its own. No ROS inside."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import threading
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, SettingError

from edgecam_viewer.access import Access
from edgecam_viewer.connection_limiter import PATIENCE, ConnectionLimiter
from edgecam_viewer.hub import Hub
from edgecam_viewer.settings import ViewerSettings, is_loopback
from edgecam_viewer.streams import Control, Streams
from edgecam_viewer.video import Video

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "main.js": "text/javascript",
    "link.js": "text/javascript",
    "camera.js": "text/javascript",
    "panels.js": "text/javascript",
    "chart.js": "text/javascript",
    "save.js": "text/javascript",
    "video.js": "text/javascript",
}
# The page needs nothing from elsewhere and may not be framed by anybody.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
BODY_LIMIT = 64 * 1024


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingError: the port is taken or not allowed, or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except socket.gaierror as error:
        raise SettingError("host", host, f"is not an address ({error.strerror}); use e.g. 127.0.0.1") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "is in use by another program; stop that one, take another port or 0 for any free one"
            raise SettingError("port", port, remedy) from None
        if error.errno == errno.EACCES:
            raise SettingError("port", port, "needs root; take one above 1023") from None
        raise SettingError("host", host, f"cannot be served at ({error.strerror}); use e.g. 127.0.0.1") from None


def outward_address(any_address: str) -> str:
    """The address other machines most likely reach this one at; its name where there is no network. Sends nothing."""
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if ":" in any_address else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))  # a documentation address: only the route is looked up
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def tls_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """The TLS context, None when no certificate is given.

    Raises:
        SettingError: a file cannot be read or the two do not belong together.
    """
    if not certificate:
        return None
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if not Path(path).is_file():
            raise SettingError(name, path, "is not a file; give the path of a PEM file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise SettingError("tls_certificate", certificate, f"cannot be used with tls_key: {error}") from None
    return context


def _logger(counters: Counters) -> logging.Logger:
    """aiohttp's logger for one server: requests that are no HTTP are counted, not printed with a traceback."""

    def keep(record: logging.LogRecord) -> bool:
        if not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)):
            return True
        counters.add("request refused")
        return False

    logger = logging.Logger("edgecam_viewer.server", logging.WARNING)  # in no registry: it goes with its server
    logger.parent = logging.getLogger()
    logger.addFilter(keep)
    return logger


class WebServer:
    """Serves one hub. ``start`` binds and returns when the page can be opened; ``stop`` says goodbye to all viewers.

    Args:
        control: what viewers may ask of the pipeline.
        video: WebRTC for those who can, None for frames only.
    """

    def __init__(self, settings: ViewerSettings, hub: Hub, control: Control, video: Video | None = None) -> None:
        self.access = Access(settings.host, settings.token)
        self.streams = Streams(hub, control, settings.stall_timeout, video)
        self._limiter = ConnectionLimiter(self.access.counters, settings.max_viewers)
        self._hub = hub
        self._tls = tls_context(settings.tls_certificate, settings.tls_key)
        self._settings = settings
        self._socket = bind(settings.host, settings.port)
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="web server", daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The address to open, the token included where one is needed."""
        host = self._settings.host
        if host in ("0.0.0.0", "::"):
            host = outward_address(host)
        scheme = "https" if self._tls else "http"
        token = f"/?token={self.access.token}" if self.access.token else ""
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{token}"

    @property
    def public_without_tls(self) -> bool:
        return self._tls is None and not is_loopback(self._settings.host)

    def start(self) -> None:
        """Blocks until the page can be opened.

        Raises:
            EdgecamError: the server did not come up within 10 s.
        """
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(timeout=10)
        except TimeoutError:
            raise EdgecamError("the web server did not start within 10 s: the machine is overloaded") from None

    def stop(self) -> None:
        """Blocks for at most some 5 s."""
        self._hub.attach(None)
        if self._thread.is_alive():
            try:
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=5)
            finally:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(timeout=5)
        self._socket.close()
        self._loop.close()

    async def _serve(self) -> None:
        self._hub.attach(asyncio.get_running_loop())
        limiter = self._limiter
        app = web.Application(middlewares=[limiter.middleware, self.access.middleware], client_max_size=BODY_LIMIT)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/", _page_file)
        app.router.add_get("/page/{name}", _page_file)
        self.streams.add_routes(app)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0, logger=_logger(self.access.counters)
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        limiter.start(server)
        handshake = PATIENCE if self._tls else None
        self._listening = await asyncio.get_running_loop().create_server(
            server, sock=self._socket, ssl=self._tls, backlog=128, ssl_handshake_timeout=handshake
        )
        self.streams.start()

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self._limiter.stop()
        await self.streams.stop()
        if self._runner is not None:
            await self._runner.cleanup()


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _page_file(request: web.Request) -> web.Response:
    """One of the page's files by its name in the table: no path from a request ever reaches the file system."""
    name = request.match_info.get("name", "index.html")
    if name not in PAGE_FILES:
        raise web.HTTPNotFound(text="no such page\n")
    return web.Response(body=(PAGE / name).read_bytes(), content_type=PAGE_FILES[name], charset="utf-8")
