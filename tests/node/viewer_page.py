"""What browser tests ask of the viewer's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from chromium import Page
from viewer_scene import SQUARE_BGR

MOVING = "window.edgecam && edgecam.cameras[0] && edgecam.cameras[0].shown > 10 && edgecam.cameras[0].facts.detections"
# The drawn box of the best detection in device pixels of the screen, and its label.
BOX_ON_SCREEN = """(() => {
  const camera = edgecam.cameras[0], [label, score, x1, y1, x2, y2] = camera.facts.detections[0];
  const { left, top, scale } = camera.place, tile = camera.tile.view.getBoundingClientRect(), r = devicePixelRatio;
  return { label, score, box: [x1, y1, x2, y2],
    screen: [tile.x * r + left + x1 * scale, tile.y * r + top + y1 * scale,
             tile.x * r + left + x2 * scale, tile.y * r + top + y2 * scale] };
})()"""
# The next frame that comes with boxes is the last one drawn.
FREEZE = """new Promise((done) => {
  const camera = edgecam.cameras[0], present = camera.present;
  camera.present = (bitmap, facts) => {
    if (!facts.detections?.length) return;
    camera.present = () => {};
    present.call(camera, bitmap, facts);
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));  // drawn and on the screen
  };
})"""


async def frozen_box(page: Page, path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """The box of the best detection and a screenshot with it, once the layout around it has come to rest."""
    await page.evaluate(FREEZE)
    for _ in range(20):
        drawn = await page.evaluate(BOX_ON_SCREEN)
        await page.screenshot(path)
        if await page.evaluate(BOX_ON_SCREEN) == drawn:
            break
    return drawn, cv2.imread(str(path), cv2.IMREAD_COLOR)


def square_on_screen(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Where the bright square is in a screenshot: x1, y1, x2, y2."""
    near = (np.abs(pixels.astype(int) - SQUARE_BGR).max(axis=2) < 30).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(near)
    assert count > 1, "the square is not on the screen"
    x, y, width, height, _ = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return x, y, x + width, y + height
