"""The web server on real sockets, without ROS: served files, refusals, dropped viewers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from edgecam_core.errors import SettingError
from edgecam_ros.faults import FaultLog
from edgecam_viewer.access import Access, is_own_name
from edgecam_viewer.hub import Hub
from edgecam_viewer.listening import outward_address
from edgecam_viewer.pages import PAGE, PAGE_FILES, TOKEN_PAGE
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from edgecam_viewer.wire import unpack
from viewer_served import JPEG, Echo, Served
from waiting import wait_until

from edgecam_viewer import connections, pages


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as one:
        yield one


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


async def test_every_file_of_the_page_is_served_and_nothing_comes_from_another_host(served: Served) -> None:
    assert {path.name for path in PAGE.iterdir()} == {*PAGE_FILES, TOKEN_PAGE}
    for name, kind in PAGE_FILES.items():
        status, body, headers = await get(served, "/" if name == "index.html" else f"/page/{name}")
        assert (status, body) == (200, (PAGE / name).read_bytes())
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


async def test_200_viewers_are_served_up_to_the_limit_and_the_rest_refused() -> None:
    with Served(max_viewers=32) as served:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            tries = [session.ws_connect(f"{served.base}/ws") for _ in range(200)]
            links = await asyncio.gather(*tries, return_exceptions=True)
            accepted = [one for one in links if isinstance(one, aiohttp.ClientWebSocketResponse)]
            refused = [one for one in links if isinstance(one, aiohttp.WSServerHandshakeError)]
            assert (len(accepted), len(refused)) == (32, 168)
            assert {one.status for one in refused} == {503}
            await asyncio.gather(*(first_frames(one, 3) for one in accepted))
            await asyncio.gather(*(one.close() for one in accepted))
        assert served.hub.refused == 168
        status, body, _ = await get(served, "/snapshot.jpg")
        assert (status, body) == (200, JPEG.tobytes()), "places are free again"


def test_connections_without_a_whole_request_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT", 1.5)
    with Served(max_viewers=1) as served, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", served.server.port)
        slow = [stack.enter_context(socket.create_connection(address)) for _ in range(6)]
        for one in slow[1:]:  # the first one sends nothing
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        viewer = stack.enter_context(socket.create_connection(address, timeout=120))
        viewer.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert viewer.recv(100).startswith(b"HTTP/1.1 200")
        wait_until(lambda: served.server.access.counters.totals().get("connection without a request ended") == 6)
        for one in slow:
            with contextlib.suppress(ConnectionError):
                assert one.recv(10) == b""
        assert viewer.recv(100), "an active viewer stays connected"
        assert asyncio.run(get(served, "/api/status"))[0] == 200


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_idle_connections_do_not_block_others(
    tls: bool, pem: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "MAX_WAITING", 20)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 40)
    files = {"tls_certificate": pem[0], "tls_key": pem[1]} if tls else {}
    context = ssl._create_unverified_context() if tls else None
    with Served(host="0.0.0.0", token="secret", max_viewers=2, **files) as served, contextlib.ExitStack() as stack:
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            for _ in range(50):
                idle = socket.create_connection(("127.0.0.1", served.server.port), 20, source_address=(source, 0))
                stack.enter_context(idle)
        for _ in range(3):  # from another address, and from one with many connections
            for source in ("127.0.0.1", "127.0.0.4"):
                answer = fetch_from(source, served.server.port, context)
                assert answer.startswith(b"HTTP/1.1 200"), (source, answer)
        ended = served.server.access.counters.totals()["waiting connection ended for a newer one"]
        assert ended >= 110, "more than 40 of 150 must never be open"
        assert served.log == []
    assert "Traceback" not in "".join(capfd.readouterr())


def fetch_from(source: str, port: int, tls: ssl.SSLContext | None) -> bytes:
    """The first bytes of the state as JSON, asked for from this address."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0)))
        if tls is not None:
            link = stack.enter_context(tls.wrap_socket(link))
        link.sendall(b"GET /api/status?token=secret HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return link.recv(100)


def test_when_every_connection_is_in_use_one_more_is_refused_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    with Served() as served, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", served.server.port)
        for _ in range(2):
            viewer = stack.enter_context(socket.create_connection(address, timeout=20))
            viewer.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert viewer.recv(100).startswith(b"HTTP/1.1 200")
        late = stack.enter_context(socket.create_connection(address, timeout=20))
        with contextlib.suppress(ConnectionError):
            assert late.recv(10) == b""
        assert served.server.access.counters.take() == "1 x connection refused: all are in use"
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8::5", "2001:db8::/64"),
    ],
)
def test_connections_are_counted_per_ipv4_address_or_ipv6_network(address: str, counted: str) -> None:
    assert connections.network(address) == counted


def test_the_printed_address_can_be_opened_from_another_machine() -> None:
    own = outward_address("0.0.0.0")
    with Served(host="0.0.0.0", token="secret") as served:
        assert served.server.url == f"http://{own}:{served.server.port}/?token=secret"
        with socket.create_connection((own, served.server.port), timeout=120):
            pass


async def test_a_viewer_that_stops_reading_is_disconnected_and_delays_no_other() -> None:
    with (
        Served(size=400_000, stall_timeout=1.0) as served,
        socket.create_connection(("127.0.0.1", served.server.port)) as stuck,
    ):
        stuck.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")  # and never reads
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws") as link:
            deadline = time.monotonic() + 120
            while not served.hub.shed:
                assert time.monotonic() < deadline
                before = served.stamp
                newest = int((await first_frames(link, 1))[0]["stamp"])
                assert newest >= before - 50, "the other viewer must not fall behind by 50 frames"
            assert served.hub.viewers == 1


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


async def test_other_web_sites_get_nothing(served: Served) -> None:
    assert (await get(served, "/api/status", headers={"Host": "evil.example"}))[0] == 421
    assert (await get(served, "/api/status", headers={"Origin": "http://evil.example"}))[0] == 403
    assert (await get(served, "/ws", headers={"Origin": "null"}))[0] == 403
    assert (await get(served, "/api/status", headers={"Origin": served.base}))[0] == 200
    assert served.server.access.counters.totals() == {"request refused: from another web site": 3}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unheard-of"])
@pytest.mark.parametrize("path", ["/snapshot.jpg", "/stream.mjpg", "/api/status", "/page/main.js", "/ws"])
async def test_nothing_can_be_embedded_by_another_web_site(served: Served, path: str, site: str) -> None:
    status, _, headers = await get(served, path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "image"})
    assert status == 403
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_link_on_another_web_site_opens_the_page_and_our_own_requests_pass(served: Served) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert (await get(served, "/", headers=link))[0] == 200
    assert (await get(served, "/", headers={**link, "Sec-Fetch-Dest": "iframe"}))[0] == 403
    assert (await get(served, "/api/status", headers={"Sec-Fetch-Site": "same-origin"}))[0] == 200
    assert (await get(served, "/api/status", headers={"Sec-Fetch-Site": "none"}))[0] == 200


async def test_every_response_forbids_its_use_by_other_sites(served: Served) -> None:
    for path in ("/", "/page/main.js", "/api/status", "/snapshot.jpg", "/nothing", "/snapshot.jpg?camera=99"):
        assert (await get(served, path))[2]["Cross-Origin-Resource-Policy"] == "same-origin", path


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1:8080", True), ("localhost", True), ("[::1]:8080", True), ("192.168.1.7:80", True),
     ("evil.example", False), ("", False), ("127.0.0.1.evil.example:80", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_host_names_that_can_only_be_ours_are_recognised(host: str, own: bool) -> None:
    assert is_own_name(host, "127.0.0.1") is own


async def test_a_token_is_needed_where_one_is_set() -> None:
    with Served(token="open sesame") as served:
        for path in ("/", "/ws", "/stream.mjpg", "/snapshot.jpg", "/api/status", "/page/main.js"):
            assert (await get(served, path))[0] == 401, path
            assert (await get(served, path, params={"token": "wrong"}))[0] == 401, path
        bearer = {"Authorization": "Bearer open sesame"}
        assert (await get(served, "/api/status", headers=bearer))[0] == 200
        status, body, _ = await get(served, "/")
        assert status == 401
        assert b'<input id="token" name="token"' in body
        for path in pages.PUBLIC:
            assert (await get(served, path))[0] == 200
        status, _, headers = await get(served, "/", params={"token": "open sesame"})
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.get(f"{served.base}/", params={"token": "open sesame"}) as answer:
                assert answer.status == 200
                assert "token" not in str(answer.url)
            async with session.ws_connect(f"{served.base}/ws") as link:
                await first_frames(link, 1)


async def test_the_token_can_be_typed_into_the_page() -> None:
    with Served(token="open sesame") as served:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, headers={"Origin": served.base}) as session:
            for wrong in ({"token": "sesame"}, {"token": ""}, {}, {"token": "x" * 50_000}):
                answer = await session.post(f"{served.base}/", data=wrong)
                assert answer.status == 401, wrong
                assert "not the token" in await answer.text()
            async with session.post(f"{served.base}/", data={"token": " open sesame\n"}) as answer:
                assert (answer.status, answer.url.path) == (200, "/")
                assert "main.js" in await answer.text()
        foreign = {"Origin": "http://evil.example"}
        async with aiohttp.ClientSession(headers=foreign) as session:
            assert (await session.post(f"{served.base}/", data={"token": "open sesame"})).status == 403
        assert served.log == []


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Authorization: Bearer \xff\xfe", 401),
        (b"Authorization: \xe9", 401),
        (b"Cookie: edgecam_token_PORT=\xff", 401),
        (b"X-Long: " + b"x" * 20_000, 400),
    ],
)
async def test_odd_headers_are_refused_counted_and_not_logged(
    header: bytes, status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with Served(token="open sesame") as served:
        header = header.replace(b"PORT", str(served.server.port).encode())
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + header + b"\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        assert int(answer.split()[1]) == status, answer[:200]
        assert sum(served.server.access.counters.totals().values()) == 1
        assert [one for one in caplog.records if one.levelname != "DEBUG"] == []
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_two_viewers_of_one_machine_keep_their_tokens_apart() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    with Served(token="one") as first, Served(token="two") as second:
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            for served in (first, second):
                await (await session.get(f"{served.base}/", params={"token": served.settings.token})).read()
            for served in (first, second):
                assert (await session.get(f"{served.base}/api/status")).status == 200


def test_a_token_is_generated_for_public_addresses_only() -> None:
    assert Access("127.0.0.1", "").token == ""
    assert Access("::1", "").token == ""
    one, other = Access("0.0.0.0", ""), Access("0.0.0.0", "")
    assert len(one.token) >= 24
    assert one.token != other.token
    assert Access("0.0.0.0", "mine").token == "mine"


def test_a_port_in_use_is_named_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"parameter 'port' is {port}: is in use by another program; .*or 0"):
            WebServer(ViewerSettings(port=port), Hub(1, 1), Echo(), FaultLog(print))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.9", "not an address"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(SettingError, match="parameter 'host' is"):
        WebServer(ViewerSettings(host=host, port=0), Hub(1, 1), Echo(), FaultLog(print))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_tls_serves_the_page_encrypted(pem: tuple[str, str]) -> None:
    certificate, key = pem
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    with Served(tls_certificate=certificate, tls_key=key) as served:
        assert served.server.url.startswith("https://127.0.0.1:")
        assert (await get(served, "/", ssl=context))[0] == 200
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.base}/ws", ssl=context) as link:
            await first_frames(link, 3)


@pytest.mark.parametrize("broken", ["tls_certificate", "tls_key"])
def test_tls_files_are_checked_at_the_start(pem: tuple[str, str], tmp_path: Path, broken: str) -> None:
    files = {"tls_certificate": pem[0], "tls_key": pem[1]}
    with pytest.raises(SettingError, match=f"'{broken}' is .*not a file"):
        WebServer(
            ViewerSettings(port=0, **{**files, broken: str(tmp_path / "none.pem")}), Hub(1, 1), Echo(), FaultLog(print)
        )
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no key in here")
    with pytest.raises(SettingError, match="cannot be used"):
        WebServer(ViewerSettings(port=0, **{**files, broken: str(garbage)}), Hub(1, 1), Echo(), FaultLog(print))
    with pytest.raises(SettingError, match="set both"):
        ViewerSettings(**{broken: files[broken]})


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
