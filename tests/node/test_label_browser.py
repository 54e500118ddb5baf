"""The labelling page in a real browser: twenty frames by keyboard, boxes by mouse and touch, nothing lost."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from axe import accessible, needs_axe, theme
from chromium import Page, chromium, executable
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, SKIPPED
from edgecam_viewer.faults import FaultLog
from edgecam_viewer.hub import Hub
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from waiting import eventually

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from test_label_server import Labels, NoPipeline, fill

pytestmark = pytest.mark.skipif(executable() is None, reason="needs chromium")
CODES = {"Enter": 13, "Delete": 46, "ArrowRight": 39, "ArrowDown": 40, "Escape": 27}


async def press(page: Page, key: str, modifiers: int = 0) -> None:
    text = {"text": key} if len(key) == 1 and not modifiers else {}
    code = CODES.get(key, ord(key[0].upper()))
    for kind in ("keyDown", "keyUp"):
        extra = text if kind == "keyDown" else {}
        await page.call(
            "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers, **extra
        )


async def shows(page: Page, name: str) -> None:
    await page.wait_for(f"document.body.dataset.frame === '{name}' && document.body.dataset.state === 'open'")


async def corner(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is on the screen."""
    found = await page.evaluate(
        f"(() => {{ const r = document.getElementById('image').getBoundingClientRect();"
        f" return [r.left + {x} / 160 * r.width, r.top + {y} / 120 * r.height]; }})()"
    )
    return found[0], found[1]


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
        buttons = 0 if kind == "mouseReleased" else 1
        await page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as one:
        await one.size(1280, 800)
        yield one
        assert one.problems == []


@pytest.fixture
def labels(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    fill(tmp_path / "c", getattr(request, "param", 4))
    one = Labels(tmp_path / "c")
    yield one
    one.server.stop()


@pytest.mark.parametrize("labels", [20], indirect=True)
async def test_twenty_frames_with_good_proposals_by_keyboard(page: Page, labels: Labels, tmp_path: Path) -> None:
    await page.open(f"{labels.base}/label")
    for number in reversed(range(20)):
        await shows(page, f"{number:04d}")
        await press(page, "Enter")
    await page.wait_for("document.getElementById('message').textContent.includes('All frames are reviewed')")
    reviews = list(Collection.open(tmp_path / "c").reviews())
    assert len(reviews) == 20
    assert all(one.state == REVIEWED and [box.label for box in one.boxes] == ["cat"] for one in reviews)
    assert all(box.score == 1 for one in reviews for box in one.boxes)


async def test_boxes_are_drawn_moved_named_deleted_and_undone(page: Page, labels: Labels, tmp_path: Path) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await drag(page, await corner(page, 100, 70), await corner(page, 140, 110))
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await page.evaluate("document.querySelector('#new-class input').value = 'dog'")
    await page.evaluate("document.querySelector('#new-class button').click()")
    await page.wait_for("[...document.querySelectorAll('#list button')].some((b) => b.textContent.startsWith('dog'))")
    for _ in range(3):
        await press(page, "ArrowRight")
    await press(page, ".")
    await press(page, "Delete")
    await page.wait_for("document.querySelectorAll('#list button').length === 1")
    await press(page, "z", modifiers=2)
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await press(page, "Enter")
    await shows(page, "0002")
    review = Collection.open(tmp_path / "c").review("0003")
    assert review is not None
    boxes = {box.label: box.box for box in review.boxes}
    assert boxes["cat"] == (30, 20, 90, 60)
    assert boxes["dog"] == pytest.approx((103, 70, 143, 110), abs=1.0)


async def test_a_resized_box_a_skipped_and_an_empty_frame(page: Page, labels: Labels, tmp_path: Path) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await page.evaluate("document.querySelector('#list button').click()")
    await drag(page, await corner(page, 90, 60), await corner(page, 110, 80))
    await press(page, "Enter")
    await shows(page, "0002")
    await press(page, "s")
    await shows(page, "0001")
    await press(page, "e")
    await shows(page, "0000")
    collection = Collection.open(tmp_path / "c")
    resized, skipped, empty = (collection.review(name) for name in ("0003", "0002", "0001"))
    assert resized is not None
    assert resized.boxes[0].box == pytest.approx((30, 20, 110, 80), abs=1.0)
    assert skipped is not None
    assert skipped.state == SKIPPED
    assert empty is not None
    assert (empty.state, empty.boxes) == (REVIEWED, ())


async def test_work_is_saved_automatically_and_restored(page: Page, labels: Labels, tmp_path: Path) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await press(page, "b")
    collection = Collection.open(tmp_path / "c")
    await page.wait_for("document.querySelectorAll('#list button').length === 2")

    async def draft() -> bool:
        review = collection.review("0003")
        return review is not None and len(review.boxes) == 2

    await eventually(draft, what="the saved draft")
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await page.wait_for("document.querySelectorAll('#list button').length === 2")


async def test_another_persons_boxes_are_not_overwritten_unseen(page: Page, labels: Labels, tmp_path: Path) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    other = {"state": "reviewed", "boxes": [], "revision": 0, "reviewer": "bob"}
    assert labels.ask("/label/frame/0003", other)[0] == 200
    await press(page, "Enter")
    await page.wait_for("document.getElementById('message').textContent.includes('bob')")
    await page.complains()
    collection = Collection.open(tmp_path / "c")
    review = collection.review("0003")
    assert review is not None
    assert review.reviewer == "bob"
    await press(page, "Enter")
    await shows(page, "0002")
    review = collection.review("0003")
    assert review is not None
    assert (review.revision, len(review.boxes)) == (2, 1)


async def test_a_phone_shows_all_and_draws_by_touch(page: Page, labels: Labels) -> None:
    await page.size(390, 844, 2, mobile=True)
    await page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await page.wait_for("document.documentElement.scrollWidth <= innerWidth")
    smallest = "Math.min(...[...document.querySelectorAll('button')].map((b) => b.getBoundingClientRect().height))"
    await page.wait_for(f"{smallest} >= 44")
    (x1, y1), (x2, y2) = await corner(page, 100, 70), await corner(page, 140, 110)
    for kind, points in (("touchStart", [(x1, y1)]), ("touchMove", [(x2, y2)]), ("touchEnd", [])):
        await page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])
    await page.wait_for("document.querySelectorAll('#list button').length === 2")


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)], ids=["desktop", "phone"])
async def test_axe_core_finds_nothing(page: Page, labels: Labels, scheme: str, width: int, height: int) -> None:
    await page.size(width, height, mobile=width < 500)
    await theme(page, scheme)
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await press(page, "b")
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    await accessible(page)
    for number in (3, 2, 1, 0):
        await shows(page, f"{number:04d}")
        await press(page, "Enter")
    await page.wait_for("document.getElementById('message').textContent.includes('All frames are reviewed')")
    await accessible(page)


async def test_without_a_collection_the_page_explains_how_to_get_one(page: Page) -> None:
    server = WebServer(ViewerSettings(port=0), Hub(1, 4), NoPipeline(), FaultLog(print))
    server.start()
    try:
        await page.open(f"http://127.0.0.1:{server.port}/label")
        await page.wait_for("document.getElementById('message').textContent.includes('edgecam label FOLDER')")
        await accessible(page)
        await page.complains()
    finally:
        server.stop()
