"""A model that passed the gate is shown on the page, and one click deploys exactly the version shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from axe import accessible
from chromium import Page, needs_chromium
from edgecam_core.models import proposal
from edgecam_core.models.store import ModelStore
from proposed import proposed
from viewer_served import Served

PANEL = "document.getElementById('proposals')"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "store"))
    return proposed(tmp_path / "store")


@pytest.fixture
def served(store: ModelStore) -> Iterator[Served]:
    with Served(token="sesame") as one:
        yield one


def ask(served: Served, path: str, content: object = None, **headers: str) -> tuple[int, Any, Any]:
    body = None if content is None else json.dumps(content).encode()
    try:
        with urlopen(Request(served.base + path, body, headers), timeout=120) as answer:
            return answer.status, answer.read(), answer.headers
    except HTTPError as error:
        return error.code, error.read(), error.headers


KEY = {"Authorization": "Bearer sesame"}


def offered(store: ModelStore) -> dict[str, object]:
    found = proposal.read(store, "door")
    assert found is not None
    return {"name": "door", "version": found.version, "sha256": found.sha256}


def test_only_the_version_shown_is_deployed_and_only_once(served: Served, store: ModelStore) -> None:
    status, body, _ = ask(served, "/models/proposals", **KEY)
    (row,) = json.loads(body)
    assert (status, row["state"], row["report"]) == (200, "pending", True)
    offer = offered(store)
    for wrong in ({**offer, "sha256": "0" * 64}, {**offer, "version": 3}, {**offer, "name": "../door"}):
        status, body, _ = ask(served, "/models/approve", wrong, **KEY)
        assert status == 409, body
    assert ask(served, "/models/approve", {**offer, "version": "2"}, **KEY)[0] == 400
    assert store.version("door").number == 1
    status, body, _ = ask(served, "/models/approve", offer, **KEY)
    assert (status, json.loads(body)[0]["state"]) == (200, "approved")
    assert store.version("door").number == 2
    assert ask(served, "/models/approve", offer, **KEY)[0] == 409


def test_token_and_origin_are_required_and_the_report_runs_no_script(served: Served, store: ModelStore) -> None:
    for path, content in (("/models/approve", offered(store)), ("/models/decline", offered(store)),
                          ("/models/proposals", None), ("/models/report/door", None)):  # fmt: skip
        assert ask(served, path, content)[0] == 401
        assert ask(served, path, content, Origin="http://elsewhere.example", **KEY)[0] == 403
    assert store.version("door").number == 1
    status, body, headers = ask(served, "/models/report/door", **KEY)
    assert (status, b"passed" in body) == (200, True)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert ask(served, "/models/report/..%2f..", **KEY)[0] == 404
    assert ask(served, "/models/decline", offered(store), **KEY)[0] == 200
    assert json.loads(ask(served, "/models/proposals", **KEY)[1])[0]["state"] == "declined"
    assert served.log == []


@needs_chromium
@pytest.mark.asyncio(loop_scope="module")
async def test_one_click_on_the_page(page: Page, store: ModelStore) -> None:
    with Served() as served:
        await page.open(served.base)
        await page.wait_for(f"!{PANEL}.hidden && {PANEL}.innerText.includes('door, version 2: waits for approval')")
        await page.wait_for(f"{PANEL}.innerText.includes('72.8 [62.4, 85.2]') && {PANEL}.innerText.includes('pig')")
        await page.becomes(f"{PANEL}.querySelector('a').pathname", "/models/report/door")
        await accessible(page)
        assert store.version("door").number == 1
        await page.evaluate(f"{PANEL}.querySelector('.approve').click()")
        await page.becomes(f"{PANEL}.querySelector('.response').textContent", "door, version 2: deployed")
        await page.becomes(f"{PANEL}.querySelector('.actions').hidden", True)
        assert page.problems == []
    assert store.version("door").number == 2


@needs_chromium
@pytest.mark.asyncio(loop_scope="module")
async def test_a_click_on_an_old_offer_is_refused_with_the_reason(page: Page, store: ModelStore) -> None:
    with Served() as served:
        await page.open(served.base)
        await page.wait_for(f"!{PANEL}.hidden && !{PANEL}.querySelector('.actions').hidden")
        proposal.decline(store, "door", version=2)
        await page.evaluate(f"{PANEL}.querySelector('.approve').click()")
        await page.wait_for(f"{PANEL}.querySelector('.response').textContent.includes('waits for approval')")
        await page.wait_for(f"{PANEL}.querySelector('h3').textContent.includes('declined')")
    assert store.version("door").number == 1
