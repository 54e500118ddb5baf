"""Shared by the browser tests of the viewer's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from chromium import Page
from viewer_scene import SQUARE_BGR
from waiting import eventually

MOVING = "window.edgecam && edgecam.cameras[0] && edgecam.cameras[0].shown > 3 && edgecam.cameras[0].facts.detections"
# The drawn box of the best detection in device pixels, and its label.
BOX_ON_SCREEN = """(() => {
  const camera = edgecam.cameras[0], [label, score, x1, y1, x2, y2] = camera.facts.detections[0];
  const { left, top, scale } = camera.place, tile = camera.tile.view.getBoundingClientRect(), r = devicePixelRatio;
  return { label, score, box: [x1, y1, x2, y2],
    screen: [tile.x * r + left + x1 * scale, tile.y * r + top + y1 * scale,
             tile.x * r + left + x2 * scale, tile.y * r + top + y2 * scale] };
})()"""
# Freeze at the next frame with boxes; the page treats it as live, so that nothing covers it.
FREEZE = """new Promise((done) => {
  const camera = edgecam.cameras[0], present = camera.present;
  camera.present = (bitmap, facts) => {
    if (!facts.detections?.length) return;
    camera.present = (later) => later.close();
    present.call(camera, bitmap, facts);
    Object.assign(camera, { live: () => true, silent: () => 0 });
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));  // drawn and on the screen
  };
})"""


async def screenshot(page: Page, path: Path) -> np.ndarray:
    await page.screenshot(path)
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


async def square_appears(page: Page, path: Path) -> None:
    """Wait until the bright square is on the screen."""

    async def look() -> object:
        return square_on_screen(await screenshot(page, path))

    await eventually(look, what="the square on the screen")


async def frozen_box(page: Page, path: Path, scale: float = 1.0) -> dict[str, Any]:
    """Stop the frames; wait until the box of the best detection is drawn around the square on the screen.

    The line of the box covers the square's edge: 2 px outside and 2 px inside, ``scale`` screen pixels each.
    """
    await page.evaluate(FREEZE)

    async def look() -> dict[str, Any]:
        drawn = await page.evaluate(BOX_ON_SCREEN)
        seen = square_on_screen(await screenshot(page, path))
        assert np.abs(np.array(drawn["screen"]) - seen).max() <= 4 * scale, (drawn, seen)
        return dict(drawn)

    return dict(await eventually(look, what="the box around the square"))


def square_on_screen(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """The position of the bright square in a screenshot: x1, y1, x2, y2."""
    near = (np.abs(pixels.astype(int) - SQUARE_BGR).max(axis=2) < 30).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(near)
    assert count > 1, "the square is not on the screen"
    x, y, width, height, _ = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return x, y, x + width, y + height
