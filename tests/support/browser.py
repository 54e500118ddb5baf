"""Fixtures of the tests that use a real browser: one Chromium and one tab for each module, reset before each test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chromium import Browser, Page, launched


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    profile = tmp_path_factory.mktemp("profile")
    async with launched(profile) as one:
        yield one
    shutil.rmtree(profile, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    async with browser.tab() as page:
        yield page


@pytest_asyncio.fixture(loop_scope="module")
async def page(tab: Page) -> AsyncIterator[Page]:
    """An empty page of 1280x800 in the dark theme; a module that uses it needs loop_scope="module"."""
    await tab.reset()
    yield tab
    await tab.open("about:blank")
