"""Checks a page with axe-core (npm), and whether it fits its window."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Page
from waiting import eventually

SCRIPT = Path(__file__).resolve().parents[2] / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not SCRIPT.exists(), reason="needs axe-core (make setup-test)")


async def accessible(page: Page) -> None:
    """Waits until axe-core finds nothing on the page and nothing needs a horizontal scrollbar."""
    await eventually(lambda: faults(page), lambda found: not found, what="a page without faults")


async def faults(page: Page) -> list[str]:
    """Rule, problem and first element of each violation; and whether the page is wider than its window."""
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    found = await _violations(page) if SCRIPT.exists() else []
    return [*found, *(["the page is wider than its window"] if wide else [])]


async def _violations(page: Page) -> list[str]:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(SCRIPT.read_text(encoding="utf-8") + "; undefined")
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((done) => done.violations)")
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:150]}" for one in found]


async def accessible_everywhere(page: Page) -> None:
    """``accessible`` on a desktop and on a phone, in both themes."""
    for width, height in ((1280, 800), (390, 844)):
        await page.size(width, height, mobile=width < 500)
        for scheme in ("light", "dark"):
            await page.theme(scheme)
            await accessible(page)
