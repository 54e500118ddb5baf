"""The page from another machine: a network namespace with its own address, connected by a veth pair."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer_process import ViewerProcess

OUR_ADDRESS, PEER_ADDRESS = "10.231.7.1", "10.231.7.2"
# Requests like a browser: the page without and with the token, then the WebSocket with the cookie.
VISIT = """
import asyncio, sys, aiohttp

async def main(address, token):
    jar = aiohttp.CookieJar(unsafe=True)  # the host is an address
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(address + "/") as answer:
            print("without", answer.status, 'name="token"' in await answer.text())
        async with session.post(address + "/", data={"token": "wrong"}, headers={"Origin": address}) as answer:
            print("wrong", answer.status)
        async with session.post(address + "/", data={"token": token}, headers={"Origin": address}) as answer:
            print("right", answer.status, str(answer.url) == address + "/", "main.js" in await answer.text())
        async with session.ws_connect(address + "/ws", headers={"Origin": address}) as link:
            print("link", (await link.receive_json(timeout=120))["type"])

asyncio.run(main(*sys.argv[1:]))
"""


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True)


@pytest.fixture
def other_machine() -> Iterator[str]:
    """The name of a namespace that reaches this one at OUR_ADDRESS."""
    name, inner, outer = (f"ec{os.getpid()}{end}" for end in ("", "i", "o"))
    made = ip("netns", "add", name)
    if made.returncode:
        pytest.skip(f"ip netns is not allowed here: {made.stderr.strip()}")
    try:
        for command in (
            f"link add {outer} type veth peer name {inner} netns {name}",
            f"address add {OUR_ADDRESS}/24 dev {outer}",
            f"link set {outer} up",
            f"-n {name} address add {PEER_ADDRESS}/24 dev {inner}",
            f"-n {name} link set {inner} up",
        ):
            done = ip(*command.split())
            if done.returncode:
                pytest.skip(f"ip {command} is not allowed here: {done.stderr.strip()}")
        yield name
    finally:
        ip("link", "delete", outer)
        ip("netns", "delete", name)


def test_another_machine_opens_the_page_with_the_token(tmp_path: Path, other_machine: str) -> None:
    with ViewerProcess(tmp_path, "port:=0", f"host:={OUR_ADDRESS}") as viewer:
        address, token = viewer.url.split("/?token=")
        assert address.startswith(f"http://{OUR_ADDRESS}:")
        command = ["ip", "netns", "exec", other_machine, sys.executable, "-c", VISIT, address, token]
        visit = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert visit.stdout.splitlines() == ["without 401 True", "wrong 401", "right 200 True True", "link status"], (
        visit.stdout + visit.stderr
    )
