"""Many, slow and idle connections to the web server: limits, and nobody blocks the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator

import aiohttp
import pytest
from edgecam_viewer.listening import outward_address
from viewer_requests import first_frames, get
from viewer_served import JPEG, Served
from waiting import wait_until

from edgecam_viewer import connections


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as one:
        yield one


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


def test_a_server_without_cpu_time_ends_no_connection_with_a_request(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PERIOD", 0.1)
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT", 600.0)
    request = b"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def stop() -> None:
        link.sendall(request)
        connections.REQUEST_TIMEOUT = 0.5
        time.sleep(1.5)  # the loop: as if other processes had the CPU

    with socket.create_connection(("127.0.0.1", served.server.port), 120) as link:
        link.sendall(request)
        assert link.recv(10_000).startswith(b"HTTP/1.1 200")
        served.server._loop.call_soon_threadsafe(stop)
        assert link.recv(10_000).startswith(b"HTTP/1.1 200")


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
            viewer = stack.enter_context(socket.create_connection(address, timeout=120))
            viewer.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert viewer.recv(100).startswith(b"HTTP/1.1 200")
        late = stack.enter_context(socket.create_connection(address, timeout=120))
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
