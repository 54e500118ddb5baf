"""Who may use the web server: other web sites, host names, tokens, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from edgecam_core.errors import SettingError
from edgecam_ros.faults import FaultLog
from edgecam_viewer.access import Access, is_own_name
from edgecam_viewer.hub import Hub
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from viewer_requests import first_frames, get
from viewer_served import Echo, Served

from edgecam_viewer import pages


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as one:
        yield one


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
