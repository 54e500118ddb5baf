"""What axe-core (npm) finds on a page, and whether the page fits its window."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import Page

SCRIPT = Path(__file__).resolve().parents[2] / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not SCRIPT.exists(), reason="needs axe-core (make setup-test)")


async def violations(page: Page) -> list[str]:
    """Rule, what is wrong, the first element."""
    await page.evaluate(SCRIPT.read_text(encoding="utf-8") + "; undefined")
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((done) => done.violations)")
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:150]}" for one in found]


async def fits(page: Page) -> bool:
    """Whether nothing needs a horizontal scrollbar."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


async def theme(page: Page, name: str) -> None:
    """``light`` or ``dark``, as the system would say."""
    await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])
