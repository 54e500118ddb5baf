"""The web server on real sockets, without ROS: served files, WebSocket messages, MJPEG, start and end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from edgecam_core.errors import SettingError
from edgecam_ros.faults import FaultLog
from edgecam_viewer.hub import Hub
from edgecam_viewer.pages import PAGE, PAGE_FILES, TOKEN_PAGE
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from viewer_requests import first_frames, get
from viewer_served import JPEG, Echo, Served
from waiting import wait_until


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as one:
        yield one


async def test_every_file_of_the_page_is_served_and_nothing_comes_from_another_host(served: Served) -> None:
    assert {path.name for path in PAGE.iterdir()} == {*PAGE_FILES, TOKEN_PAGE}
    loader = f"<script>{(PAGE / 'loader.js').read_text()}</script>"
    for name, kind in PAGE_FILES.items():
        status, body, headers = await get(served, "/" if name == "index.html" else f"/page/{name}")
        assert (status, body.decode()) == (200, (PAGE / name).read_text().replace("<!--loader-->", loader))
        assert (loader in body.decode()) == name.endswith(".html")
        assert headers["Content-Type"].startswith(kind)
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize(
    "path",
    ["/page/../node.py", "/page/..%2fnode.py", "/page/%2e%2e/%2e%2e/etc/passwd", "/../../etc/passwd",
     "/page//etc/passwd", "/page/style.css%00.js", "/page/", "/page/.", "/etc/passwd", "/page/__init__.py",
     "/stream.mjpg/../../node.py"],
)  # fmt: skip
async def test_no_path_reaches_a_file_that_is_not_on_offer(served: Served, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    assert answer.split()[1] in (b"404", b"400"), answer[:200]
    assert b"root:" not in answer
    assert b"import" not in answer


async def test_the_websocket_sends_notes_and_frames_of_all_cameras(served: Served) -> None:
    served.hub.note("status", '{"type": "status"}')
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        frames = await first_frames(link, 20)
        assert {one["camera"] for one in frames} == {0, 1}
        for camera in (0, 1):
            stamps = [int(one["stamp"]) for one in frames if one["camera"] == camera]
            assert stamps == sorted(set(stamps))
        await link.send_json({"type": "watch", "cameras": [1]})
        await first_frames(link, 6)  # frames already in transit
        assert {one["camera"] for one in await first_frames(link, 10)} == {1}
        assert served.hub.watchers == [0, 1]


async def test_a_request_and_a_ping_are_answered(served: Served) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        await link.send_json({"type": "watch", "cameras": []})
        await link.send_json({"type": "echo", "value": 5})
        await link.send_json({"type": "ping", "sent": 1.5})
        notes = {}
        while len(notes) < 2:
            message = await link.receive(timeout=120)
            if message.type is aiohttp.WSMsgType.TEXT:
                note = json.loads(message.data)
                notes[note["type"]] = note
        assert notes["echo"]["value"] == 5
        assert notes["pong"]["sent"] == 1.5
        assert notes["pong"]["server_ms"] == pytest.approx(time.time() * 1000, abs=60_000)


async def test_a_pong_is_json_for_any_ping(served: Served) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        await link.send_json({"type": "watch", "cameras": []})
        for sent in ("NaN", "Infinity", "1e999", '"x"', "[[]]", "true", "9" * 400):
            await link.send_str(f'{{"type": "ping", "sent": {sent}}}')
            while True:
                message = await link.receive(timeout=120)
                if message.type is aiohttp.WSMsgType.TEXT:
                    break
            assert "NaN" not in message.data
            assert "Infinity" not in message.data
            assert json.loads(message.data)["type"] == "refused", sent
    assert served.server.streams.counters.totals() == {"message refused": 7}


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "3", "{}", '{"type": 3}', '{"type": "shutdown"}', '{"type": "watch"}',
     '{"type": "watch", "cameras": "0"}',
     '{"type": "watch", "cameras": [true]}', "[" * 30000],
)  # fmt: skip
async def test_garbage_is_refused_and_the_viewer_stays(served: Served, text: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        await link.send_str(text)
        while True:
            message = await link.receive(timeout=120)
            if message.type is aiohttp.WSMsgType.TEXT:
                assert json.loads(message.data)["type"] == "refused"
                break
        await first_frames(link, 2)
    assert served.server.streams.counters.totals() == {"message refused": 1}


async def test_every_refusal_names_its_request(served: Served) -> None:
    """Also those of requests that follow each other faster than the viewer sends."""
    requests = [{"type": "first"}, {"type": "second", "camera": 1}, {"type": "third", "camera": 9}, {"type": "x" * 99}]
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
        await link.send_json({"type": "watch", "cameras": []})
        for request in requests:
            await link.send_json(request)
        notes: list[dict] = []
        while len(notes) < len(requests):
            message = await link.receive(timeout=120)
            if message.type is aiohttp.WSMsgType.TEXT:
                notes.append(json.loads(message.data))
    assert all(note["type"] == "refused" and "not a known request" in note["text"] for note in notes)
    named = [(note.get("request"), note.get("camera")) for note in notes]
    assert named == [("first", 0), ("second", 1), ("third", 9), (None, None)]


async def test_a_10_mb_message_ends_that_viewer_only(served: Served) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{served.base}/ws") as good,
        session.ws_connect(f"{served.base}/ws") as bad,
    ):
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await bad.send_str("x" * 10_000_000)
        while not bad.closed:
            message = await bad.receive(timeout=120)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                break
        assert bad.close_code in (aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
        await first_frames(good, 5)
        assert served.server.streams.counters.totals() == {"message refused": 1}


async def test_mjpeg_and_snapshot_are_the_jpeg_itself(served: Served) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{served.base}/stream.mjpg?camera=1") as answer:
        assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace; boundary=")
        boundary = answer.headers["Content-Type"].rpartition("=")[2].encode()
        data = b""
        while data.count(boundary) < 3:
            data += await answer.content.readany()
    part = data.split(b"--" + boundary + b"\r\n")[1]
    head, _, body = part.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(JPEG)}".encode() in head
    assert body == JPEG.tobytes() + b"\r\n"
    status, body, headers = await get(served, "/snapshot.jpg?camera=1")
    assert (status, body) == (200, JPEG.tobytes())
    assert int(headers["X-Stamp"]) > 0


def test_mjpeg_viewers_that_leave_a_silent_camera_make_room() -> None:
    with Served(silent=True, max_viewers=2) as served:
        address = ("127.0.0.1", served.server.port)
        with socket.create_connection(address) as one, socket.create_connection(address) as other:
            for viewer in (one, other):
                viewer.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            wait_until(served.hub.full, 120, "two viewers")
            served.hub.note("status", '{"type": "status"}')
            assert one.recv(100).startswith(b"HTTP/1.1 200"), "the remaining viewer is kept"
            assert served.hub.full()

        def left() -> bool:
            served.hub.note("status", '{"type": "status"}')  # the node does this once a second
            return served.hub.viewers == 0

        wait_until(left, 120, "free places")


async def test_an_mjpeg_stream_refuses_head_requests(served: Served) -> None:
    async with aiohttp.ClientSession() as session, session.head(f"{served.base}/stream.mjpg") as answer:
        assert answer.status == 405
    assert served.hub.viewers == 0


@pytest.mark.parametrize("camera", ["2", "-1", "x", "٣", "1e3", "99999999999999999999"])
async def test_a_camera_that_does_not_exist_is_refused(served: Served, camera: str) -> None:
    status, body, _ = await get(served, f"/snapshot.jpg?camera={camera}")
    assert status == 404
    assert b"cameras 0 to 1" in body


def test_a_port_in_use_is_named_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"parameter 'port' is {port}: is in use by another program; .*or 0"):
            WebServer(ViewerSettings(port=port), Hub(1, 1), Echo(), FaultLog(print))


def test_the_servers_thread_keeps_its_priority_for_pages_and_answers() -> None:
    async def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)  # of the calling thread

    with Served(niceness=19) as served:
        found = asyncio.run_coroutine_threadsafe(niceness(), served.server._loop).result(120)
    assert found == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.9", "not an address"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(SettingError, match="parameter 'host' is"):
        WebServer(ViewerSettings(host=host, port=0), Hub(1, 1), Echo(), FaultLog(print))


def test_stopping_frees_the_port_and_the_loop_when_a_handler_is_stuck() -> None:
    with Served() as served:
        port = served.server.port
        stuck = threading.Event()
        served.server._loop.call_soon_threadsafe(stuck.wait, 5)  # blocks the event loop
        began = time.monotonic()
        served.server.stop()
        took = time.monotonic() - began
        stuck.set()
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), 20)
        assert served.faults.count == 1
        assert "web server's stop" in served.log[0]
        assert took < 5, "it must not wait for the stuck handler"
        served.server.stop = lambda: None  # type: ignore[method-assign]


async def test_viewers_are_notified_of_the_end() -> None:
    async with aiohttp.ClientSession() as session:
        with Served() as served:
            link = await session.ws_connect(f"{served.base}/ws")
            await first_frames(link, 1)
            stopping = asyncio.create_task(asyncio.to_thread(served.server.stop))
            while not link.closed:
                message = await link.receive(timeout=120)
                if message.type is aiohttp.WSMsgType.CLOSE:
                    assert message.data == aiohttp.WSCloseCode.GOING_AWAY
                    break
            await link.close()
            await stopping
            served.server.stop = lambda: None  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"image_topics": []}, "name at least one topic"),
        ({"image_topics": ["a", "a"]}, "name every topic once"),
        ({"detections_topics": ["a", "b"]}, "image_topics has 1"),
        ({"host": ""}, "must be an address"),
        ({"jpeg_quality": 0}, "must be 1 to 100"),
        ({"port": 70000}, "must be 0 to 65535"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingError, match=text):
        ViewerSettings(**values)
