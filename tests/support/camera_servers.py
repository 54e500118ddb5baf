"""Real servers for the camera's network sources; each yields the port it listens on."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import cv2
import numpy as np

# In a separate process: it needs GLib's main loop, and tests kill it in the middle of a stream.
_RTSP = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer as Rtsp
Gst.init(None)
port, user, password, stream = sys.argv[1:5]
server = Rtsp.RTSPServer(service=port, address="127.0.0.1")
factory = Rtsp.RTSPMediaFactory(shared=True)
factory.set_launch(f"( {stream} )")
if user:
    auth, token = Rtsp.RTSPAuth(), Rtsp.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(Rtsp.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    role = "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(role))
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""

RTSP_VIDEO = "videotestsrc is-live=true pattern=red ! video/x-raw,format=I420,width=320,height=240,framerate=25/1"
_RED = f"{RTSP_VIDEO} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay name=pay0 pt=96"


class RtspCamera:
    """``stream`` (launch text that ends in a payloader ``pay0``; 320x240 red H.264 at 25 Hz) under ``/live``.

    Port 0 takes a free one.
    """

    def __init__(self, port: int = 0, user: str = "", password: str = "", stream: str = _RED) -> None:
        arguments = [sys.executable, "-c", _RTSP, str(port), user, password, stream]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def rtsp_server(user: str = "", password: str = "", stream: str = _RED) -> Iterator[RtspCamera]:
    server = RtspCamera(0, user, password, stream)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def mjpeg_server(jpeg: bytes) -> Iterator[int]:
    """Sends the same JPEG to every client, 25 times a second."""
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)
            try:
                while not stopping.wait(0.04):
                    self.wfile.write(part)
            except OSError:
                pass  # the camera went away

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(Handler) as port:
        try:
            yield port
        finally:
            stopping.set()


def red_jpeg(width: int = 160, height: int = 120) -> bytes:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:] = (0, 0, 255)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


@contextmanager
def rtp_sender(port: int) -> Iterator[None]:
    """A plain gst-launch-1.0 that sends red 320x240 H.265 at 25 Hz."""
    text = (
        "gst-launch-1.0 -q videotestsrc is-live=true pattern=red "
        "! video/x-raw,format=I420,width=320,height=240,framerate=25/1 "
        "! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 option-string=open-gop=0 "
        f"! h265parse ! rtph265pay config-interval=-1 ! udpsink host=127.0.0.1 port={port}"
    )
    process = subprocess.Popen(text.split())
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def hls_server(folder: Path) -> Iterator[int]:
    """Four seconds of red 160x120 H.264 at 25 Hz in four pieces, under ``/live.m3u8``."""
    whole = folder / "whole.ts"
    text = (
        "gst-launch-1.0 -q videotestsrc num-buffers=100 pattern=red "
        "! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! x264enc tune=zerolatency key-int-max=25 "
        f"! h264parse ! mpegtsmux ! filesink location={whole}"
    )
    subprocess.run(text.split(), check=True, timeout=120)
    data, lines = whole.read_bytes(), ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    size = -(-len(data) // 4 // 188) * 188  # whole packets of the transport stream
    for index in range(4):
        (folder / f"{index}.ts").write_bytes(data[index * size : (index + 1) * size])
        lines += ["#EXTINF:1,", f"{index}.ts"]
    (folder / "live.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(Handler) as port:
        yield port


@dataclass
class HttpResponse:
    """A response of :func:`web_server`: sends ``pieces`` one after the other, repeatedly if ``endless``."""

    content_type: str = ""
    pieces: Sequence[bytes] = ()
    endless: bool = False
    status: int = 200
    location: str = ""
    length: bool = False
    login: str = ""  # "basic" or "digest": user "me", password "p@ss:/?#"


USER, PASSWORD = "me", "p@ss:/?#"


@contextmanager
def web_server(pages: Mapping[str, HttpResponse]) -> Iterator[tuple[int, list[str]]]:
    """A web server with these pages by path; yields its port and the list of requested paths."""
    stopping = threading.Event()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(self.path)
            page = pages.get(path, HttpResponse(status=404))
            if page.login and not _logged_in(page.login, self.headers.get("Authorization", ""), self.path):
                self.send_response(401)
                challenge = (
                    'Digest realm="cam", nonce="abc", qop="auth"' if page.login == "digest" else 'Basic realm="c"'
                )
                self.send_header("WWW-Authenticate", challenge)
                self.end_headers()
                return
            body = b"".join(page.pieces)
            first, last = _range(self.headers.get("Range", ""), len(body)) if page.length else (0, len(body))
            self.send_response(206 if page.length and "Range" in self.headers else page.status)
            if page.location:
                self.send_header("Location", page.location)
            if page.content_type:
                self.send_header("Content-Type", page.content_type)
            if page.length:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(body)}")
                self.send_header("Content-Length", str(last - first))
            self.end_headers()
            try:
                if page.endless:
                    while not stopping.is_set():
                        for piece in page.pieces:
                            self.wfile.write(piece)
                        stopping.wait(0.04)
                else:
                    self.wfile.write(body[first:last])
            except OSError:
                pass  # the camera went away

        def log_message(self, *arguments: object) -> None:
            pass

    with _serving(Handler) as port:
        try:
            yield port, asked
        finally:
            stopping.set()


def _range(header: str, size: int) -> tuple[int, int]:
    if not header.startswith("bytes="):
        return 0, size
    first, _, last = header.removeprefix("bytes=").partition("-")
    return int(first or 0), min(size, int(last) + 1) if last else size


def _logged_in(kind: str, header: str, path: str) -> bool:
    if kind == "basic":
        return header == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if not header.startswith("Digest "):
        return False
    given = parse_keqv_list(parse_http_list(header.removeprefix("Digest ")))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, what = md5(f"{USER}:cam:{PASSWORD}"), md5(f"GET:{path}")
    parts = (secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], what)
    return given["uri"] == path and given["response"] == md5(":".join(parts))


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
