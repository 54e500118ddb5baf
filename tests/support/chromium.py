"""A headless Chromium driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from waiting import eventually

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-dev-shm-usage", "--remote-debugging-port=0",
    "--allow-loopback-in-peer-connection",
)  # fmt: skip
START_TIMEOUT = 240.0
CALL_TIMEOUT = 300.0  # axe-core on a long page takes a minute on a busy machine


def executable() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


needs_chromium = pytest.mark.skipif(executable() is None, reason="needs chromium (apt-get install chromium)")


class Connection:
    """A DevTools connection, to the browser or to a tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **parameters: Any) -> dict:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, CALL_TIMEOUT)

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" not in event:
                self._take(event["method"], event.get("params", {}))
                continue
            future = self._answers.pop(event["id"], None)
            if future is not None and not future.done():
                future.set_result(event.get("result", {}))

    def _take(self, event: str, parameters: dict) -> None:
        """An event that is not an answer."""


class Page(Connection):
    """One tab. ``problems`` are uncaught errors and error lines of its console, ``requests`` all requested URLs.

    Reports of refused requests to URLs that end with one of ``refused`` are not problems. Dialogs, such as the
    one about unsaved work, are accepted.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool], context: dict) -> None:
        super().__init__(socket)
        self._context = context  # that of the tab: its cookies, storage and downloads
        self.problems: list[str] = []
        self.refused: tuple[str, ...] = ()
        self.requests: list[str] = []
        self._accepting: asyncio.Task | None = None

    async def open(self, url: str) -> None:
        for domain in ("Runtime", "Page", "Network", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def reset(self) -> None:
        """Undo what a test before may have changed."""
        await self.size(1280, 800)
        await self.call("Emulation.setTouchEmulationEnabled", enabled=False)
        await self.theme("dark")
        self.problems.clear()
        self.requests.clear()
        self.refused = ()

    async def theme(self, name: str) -> None:
        """Emulate the system theme ``light`` or ``dark``."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    async def download_to(self, folder: Path) -> None:
        await self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), **self._context)

    @contextlib.asynccontextmanager
    async def script(self, source: str) -> AsyncIterator[None]:
        """Run a script in every page opened meanwhile, before the page's own scripts."""
        await self.call("Page.enable")
        added = await self.call("Page.addScriptToEvaluateOnNewDocument", source=source)
        try:
            yield
        finally:
            await self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])

    async def size(self, width: int, height: int, scale: float = 1.0, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited. None if the page navigates away meanwhile."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer.get("result", {}).get("value")

    async def wait_for(self, expression: str, seconds: float = 240.0) -> Any:
        """Wait until the expression is true; returns its value. An expression that throws counts as false."""
        return await self._until(expression, bool, seconds)

    async def becomes(self, expression: str, expected: Any) -> None:
        """Wait until the expression has this value. Use this or ``wait_for`` to assert what a page shows."""
        await self._until(expression, lambda value: bool(value == expected))

    async def _until(self, expression: str, good: Callable[[Any], bool], seconds: float = 240.0) -> Any:
        try:
            return await eventually(lambda: self.evaluate(expression), good, what=expression, timeout=seconds)
        except pytest.fail.Exception as failure:
            text = await self.evaluate("document.body.innerText")
            pytest.fail(f"{failure}; problems: {self.problems}; the page shows: {text}")

    async def complains(self) -> None:
        """Wait for the browser's report of a refused request and remove it from ``problems``."""

        async def look() -> list[str]:
            return self.problems

        await eventually(look, what="a report of the browser")
        self.problems.clear()

    async def screenshot(self, path: Path) -> None:
        answer = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def _take(self, event: str, parameters: dict) -> None:
        if event == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.problems.append(json.dumps(parameters["args"])[:500])
        elif event == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            if not parameters["entry"].get("url", "").endswith(self.refused or ("\0",)):
                self.problems.append(json.dumps(parameters["entry"])[:500])
        elif event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event == "Page.javascriptDialogOpening":
            self._accepting = asyncio.create_task(self.call("Page.handleJavaScriptDialog", accept=True))


class Browser:
    """A running Chromium, whose tabs share nothing: each has cookies, storage and a cache of its own."""

    def __init__(self, session: aiohttp.ClientSession, address: str, control: Connection) -> None:
        self._session = session
        self._address = address
        self._control = control

    @contextlib.asynccontextmanager
    async def tab(self) -> AsyncIterator[Page]:
        context = await self._control.call("Target.createBrowserContext")
        try:
            # If loopback is the only network, WebRTC has an address only with these permissions and the flag above.
            permissions = ["audioCapture", "videoCapture"]
            await self._control.call("Browser.grantPermissions", permissions=permissions, **context)
            made = await self._control.call("Target.createTarget", url="about:blank", **context)
            async with self._session.ws_connect(f"{self._address}/page/{made['targetId']}", max_msg_size=0) as socket:
                yield Page(socket, context)
        finally:
            await self._control.call("Target.disposeBrowserContext", **context)


@contextlib.asynccontextmanager
async def launched(folder: Path) -> AsyncIterator[Browser]:
    """Start Chromium with ``folder`` as its profile."""
    (folder / "DevToolsActivePort").unlink(missing_ok=True)  # of an earlier run with this profile
    command = [str(executable()), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = await _port(folder, process)
        address = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}{path}", max_msg_size=0) as socket:
            yield Browser(session, f"{address}/devtools", Connection(socket))
    finally:
        process.terminate()
        process.wait(timeout=240)


@contextlib.asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    """Start Chromium with ``folder`` as its profile; yields a tab."""
    async with launched(folder) as browser, browser.tab() as page:
        yield page


async def _port(folder: Path, process: subprocess.Popen) -> tuple[str, str]:
    """The port that Chromium chose and the path of its connection, which it writes to a file when it listens."""

    async def written() -> tuple[str, str]:
        while True:
            assert process.poll() is None, f"chromium ended with {process.returncode}"
            with contextlib.suppress(FileNotFoundError, ValueError):
                port, path = (folder / "DevToolsActivePort").read_text().splitlines()[:2]
                return port, path
            await asyncio.sleep(0.1)

    return await asyncio.wait_for(written(), START_TIMEOUT)
