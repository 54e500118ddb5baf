"""A page that lost a script or a style sheet on its way to the browser loads itself again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Page, needs_chromium
from viewer_served import Served

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
LINE = "document.querySelector('[role=alert]:not(#message)')"
TRIES = "history.state?.tries"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served(silent=True) as one:
        yield one


# A file that does not arrive, and what the page shows only with it.
@pytest.mark.parametrize(
    ("path", "lost", "complete"),
    [
        ("/", "panels.js", "window.edgecam?.link.socket.readyState === WebSocket.OPEN"),
        ("/", "style.css", "getComputedStyle(document.querySelector('header')).display === 'flex'"),
        ("/label", "label_edit.js", "document.getElementById('message').textContent.includes('edgecam label FOLDER')"),
        ("/events", "events.js", "document.getElementById('message').textContent.includes('events:=FOLDER')"),
    ],
)
async def test_it_tries_again_until_all_has_arrived(
    page: Page, served: Served, path: str, lost: str, complete: str
) -> None:
    await page.call("Network.enable")
    await page.call("Network.setBlockedURLs", urls=[f"*/{lost}"])
    try:
        await page.open(served.base + path)
        await page.wait_for(f"{LINE}?.textContent.startsWith('A part of this page could not be loaded')")
        await page.wait_for(f"{TRIES} >= 2")  # the second attempt failed, too
        assert not await page.evaluate(complete)
    finally:
        await page.call("Network.setBlockedURLs", urls=[])
    await page.wait_for(complete)
    await page.wait_for(f"!{LINE} && !{TRIES}")


async def test_a_page_that_arrives_shows_no_line_and_violates_no_policy(page: Page, served: Served) -> None:
    await page.open(served.base)
    await page.wait_for("window.edgecam?.link.socket.readyState === WebSocket.OPEN")
    await page.becomes(LINE, None)
    assert page.problems == []
