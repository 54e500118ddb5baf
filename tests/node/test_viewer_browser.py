"""The page in a real browser: the picture moves, the boxes sit on the objects, the page survives a restart."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio
from chromium import Page, chromium, executable
from viewer_process import ViewerProcess, free_port
from viewer_scene import SIDE, SQUARE_BGR, Scene

pytestmark = pytest.mark.skipif(executable() is None, reason="needs chromium (apt-get install chromium)")

MOVING = "window.edgecam && edgecam.cameras[0] && edgecam.cameras[0].shown > 10 && edgecam.cameras[0].facts.detections"
# The drawn box of the best detection in device pixels of the screen, and its label.
BOX_ON_SCREEN = """(() => {
  const camera = edgecam.cameras[0], [label, score, x1, y1, x2, y2] = camera.facts.detections[0];
  const { left, top, scale } = camera.place, tile = camera.tile.getBoundingClientRect(), r = devicePixelRatio;
  return { label, score, box: [x1, y1, x2, y2],
    screen: [tile.x * r + left + x1 * scale, tile.y * r + top + y1 * scale,
             tile.x * r + left + x2 * scale, tile.y * r + top + y2 * scale] };
})()"""
FREEZE = "edgecam.cameras[0].show = () => {}; new Promise((done) => setTimeout(done, 300))"


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    profile = tmp_path / "profile"
    async with chromium(profile) as page:
        await page.size(1280, 800)
        yield page
    shutil.rmtree(profile, ignore_errors=True)


async def screenshot(page: Page, path: Path) -> np.ndarray:
    await page.screenshot(path)
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


def square_on_screen(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Where the bright square is in a screenshot: x1, y1, x2, y2."""
    near = (np.abs(pixels.astype(int) - SQUARE_BGR).max(axis=2) < 30).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(near)
    assert count > 1, "the square is not on the screen"
    x, y, width, height, _ = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return x, y, x + width, y + height


@pytest.mark.parametrize(("width", "height", "scale"), [(1280, 800, 1.0), (390, 844, 2.0)], ids=["desktop", "phone"])
async def test_the_picture_moves_and_boxes_sit_on_the_objects(
    page: Page, tmp_path: Path, width: int, height: int, scale: float
) -> None:
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        await page.size(width, height, scale, mobile=scale > 1)
        await page.open(viewer.url)
        await page.wait_for(MOVING)
        first = await page.evaluate("edgecam.cameras[0].facts.stamp")
        await page.wait_for(f"BigInt(edgecam.cameras[0].facts.stamp) > {first}n + 1000000000n")
        await page.evaluate(FREEZE)
        drawn = await page.evaluate(BOX_ON_SCREEN)
        pixels = await screenshot(page, tmp_path / "page.png")
        assert (drawn["label"], drawn["score"]) == ("giraffe", 0.97)
        assert drawn["box"][2] - drawn["box"][0] == SIDE
        seen = square_on_screen(pixels)
        # The line of the box covers the square's rim: 2 px outside and 2 px inside.
        assert np.abs(np.array(drawn["screen"]) - seen).max() <= 4 * scale, (drawn, seen)
        assert page.problems == []
        assert {url.split("/")[2] for url in page.requests} == {viewer.url.split("/")[2]}, (
            "something came from elsewhere"
        )


async def test_rates_and_latency_are_shown(page: Page, tmp_path: Path) -> None:
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        await page.open(viewer.url)
        await page.wait_for(MOVING)
        figures = "[...document.querySelectorAll('#facts div')].map((one) => one.textContent)"
        await page.wait_for(f"/^picture[\\d.]+ fps,detections[\\d.]+ fps,latency[\\d.]+ ms$/.test({figures}.join())")
        latency = await page.evaluate("edgecam.cameras[0].latency")
        assert 0 < latency < 5000
        chips = await page.evaluate("[...document.querySelectorAll('.chip span')].map((one) => one.textContent)")
        assert sorted(chips) == ["giraffe", "zebra"]
        await page.wait_for("document.querySelector('.node[data-name=\"camera/viewer\"]').dataset.level === 'ok'")


async def test_a_class_can_be_hidden(page: Page, tmp_path: Path) -> None:
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        await page.open(viewer.url)
        await page.wait_for(MOVING + " && document.querySelectorAll('.chip').length === 2")
        await page.evaluate(
            "[...document.querySelectorAll('.chip')].find((one) => one.innerText.includes('giraffe')).click()"
        )
        await page.evaluate(FREEZE)
        left, top, right, _ = map(round, (await page.evaluate(BOX_ON_SCREEN))["screen"])
        pixels = await screenshot(page, tmp_path / "page.png")
        rim = pixels[top + 1, (left + right) // 2].astype(int)
        assert np.abs(rim - SQUARE_BGR).max() < 80, "the box is still drawn on the square's rim"


async def test_the_page_reconnects_after_the_node_restarts(page: Page, tmp_path: Path) -> None:
    port = f"port:={free_port()}"
    with Scene("/camera", fps=15):
        with ViewerProcess(tmp_path, port) as viewer:
            await page.open(viewer.url)
            await page.wait_for(MOVING)
        assert viewer.process.returncode == 0, viewer.text()
        await page.wait_for("document.getElementById('link').dataset.state === 'lost'")
        shown = await page.evaluate("edgecam.cameras[0].shown")
        with ViewerProcess(tmp_path, port) as viewer:
            await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 10")
            assert await page.evaluate("document.getElementById('link').dataset.state") == "live"


async def test_pictures_without_a_detector_are_shown_bare(page: Page, tmp_path: Path) -> None:
    with Scene("/camera", fps=15, detect=False), ViewerProcess(tmp_path, "port:=0") as viewer:
        await page.open(viewer.url)
        await page.wait_for("window.edgecam && edgecam.cameras[0] && edgecam.cameras[0].shown > 10")
        assert await page.evaluate("edgecam.cameras[0].facts.detections") is None
        square_on_screen(await screenshot(page, tmp_path / "page.png"))
