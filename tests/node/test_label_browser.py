"""The labelling page in a real browser: twenty frames by keyboard, boxes by mouse and touch, no lost work."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe import accessible, accessible_everywhere, needs_axe
from chromium import Browser, Page, needs_chromium
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, SKIPPED
from edgecam_viewer.fault_log import FaultLog
from edgecam_viewer.hub import Hub
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from waiting import eventually

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from test_label_server import Labels, NoPipeline, fill

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
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
    """The position of an image point on the screen."""
    found = await page.evaluate(
        f"(() => {{ const r = document.getElementById('image').getBoundingClientRect();"
        f" return [r.left + {x} / 160 * r.width, r.top + {y} / 120 * r.height]; }})()"
    )
    return found[0], found[1]


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
        buttons = 0 if kind == "mouseReleased" else 1
        await page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_problems(page: Page) -> AsyncIterator[None]:
    yield
    assert page.problems == []


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


async def test_progress_counts_frames_and_boxes_by_class(page: Page, labels: Labels) -> None:
    progress = "document.getElementById('progress').textContent"
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await page.becomes(progress, "0 of 4 frames reviewed")
    await press(page, "Enter")
    await page.becomes(progress, "1 of 4 frames reviewed; boxes: cat 1")
    await shows(page, "0002")
    await page.evaluate("document.querySelector('#new-class input').value = 'dog'")
    await page.evaluate("document.querySelector('#new-class button').click()")
    await page.wait_for("[...document.querySelectorAll('#classes button')].some((b) => b.textContent.endsWith('dog'))")
    await drag(page, await corner(page, 100, 70), await corner(page, 140, 110))
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await press(page, "Enter")
    await page.becomes(progress, "2 of 4 frames reviewed; boxes: cat 2, dog 1")
    await shows(page, "0001")
    await press(page, "s")  # skipped: done, without boxes
    await page.becomes(progress, "3 of 4 frames reviewed; boxes: cat 2, dog 1")
    await shows(page, "0000")
    for _ in range(2):
        await press(page, "p")
    await shows(page, "0002")
    await press(page, "e")  # the review is changed
    await page.becomes(progress, "3 of 4 frames reviewed; boxes: cat 1")


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


async def test_another_persons_boxes_are_not_overwritten_without_notice(
    page: Page, labels: Labels, tmp_path: Path
) -> None:
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


async def touch(page: Page, *points: tuple[float, float]) -> None:
    """One finger from point to point."""
    for kind, at in (("touchStart", points[:1]), *(("touchMove", [point]) for point in points[1:]), ("touchEnd", [])):
        await page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in at])


@pytest.mark.parametrize(("width", "height"), [(820, 1180), (1180, 820)], ids=["portrait", "landscape"])
async def test_a_tablet_moves_resizes_renames_and_deletes_by_touch(
    page: Page, labels: Labels, tmp_path: Path, width: int, height: int
) -> None:
    await page.size(width, height, mobile=True)
    await page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    share = "document.getElementById('stage').clientWidth / innerWidth"
    await page.wait_for(f"{share} > 0.7")  # most of the space is for the frame, not for the panels
    await touch(page, await corner(page, 60, 40))  # a tap selects
    await page.wait_for("document.querySelectorAll('#boxes .handle').length === 8")
    await touch(page, await corner(page, 60, 40), await corner(page, 65, 50), await corner(page, 70, 60))
    # Next to the handle, where a finger lands.
    x, y = await corner(page, 100, 80)
    end = await corner(page, 120, 100)
    await touch(page, (x + 12, y + 12), (x + 20, y + 20), (end[0] + 12, end[1] + 12))
    await page.evaluate("document.querySelector('#new-class input').value = 'dog'")
    await page.evaluate("document.querySelector('#new-class button').click()")
    await page.wait_for("document.querySelector('#list button').textContent.startsWith('dog')")
    await touch(page, await corner(page, 10, 90), await corner(page, 40, 110))
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await page.evaluate("document.getElementById('delete').click()")
    await page.wait_for("document.querySelectorAll('#list button').length === 1")
    await page.evaluate("document.getElementById('accept').click()")
    await shows(page, "0002")
    review = Collection.open(tmp_path / "c").review("0003")
    assert review is not None
    assert [box.label for box in review.boxes] == ["dog"]
    assert review.boxes[0].box == pytest.approx((40, 40, 120, 100), abs=1.5)


async def test_zooming_keeps_boxes_on_the_image_and_redo_restores_a_change(page: Page, labels: Labels) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    width = "document.getElementById('image').getBoundingClientRect().width"
    fitted = await page.evaluate(width)
    x, y = await corner(page, 60, 40)
    await page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-400)
    await page.wait_for(f"{width} > {fitted} * 2")
    assert await corner(page, 60, 40) == pytest.approx((x, y), abs=1.5)  # the point under the pointer stays
    await drag(page, (x, y), (x + 30, y))
    undone = "document.getElementById('redo').disabled"
    await page.wait_for(f"!document.getElementById('undo').disabled && {undone}")
    box = "document.querySelector('#boxes rect.box').getAttribute('x')"
    moved = float(await page.evaluate(box))
    assert moved > 30
    await press(page, "z", modifiers=2)
    await page.becomes(box, "30")
    await press(page, "y", modifiers=2)
    await page.becomes(f"Number({box})", moved)
    await press(page, "0")
    await page.becomes(f"Math.round({width})", round(fitted))
    for key in ("+", "+", "-"):
        await press(page, key)
    await page.wait_for(f"{width} > {fitted} * 1.2")


async def test_two_browsers_without_names_get_different_frames_and_no_work_is_lost(
    page: Page, browser: Browser, labels: Labels, tmp_path: Path
) -> None:
    async with browser.tab() as other:
        await other.size(1280, 800)
        await page.open(f"{labels.base}/label")
        await shows(page, "0003")
        await other.open(f"{labels.base}/label")
        await shows(other, "0002")
        await press(page, "Enter")
        await shows(page, "0001")
        await press(other, "n")
        await shows(other, "0000")
        await press(other, "p")
        await shows(other, "0002")
        await press(other, "b")
        await press(other, "Enter")
        await shows(other, "0000")
        assert other.problems == []
    reviews = {one.id: one for one in Collection.open(tmp_path / "c").reviews()}
    assert len(reviews["0002"].boxes) == 2


async def test_a_missing_image_is_reported_on_its_frame(page: Page, labels: Labels, tmp_path: Path) -> None:
    (tmp_path / "c" / "images" / "front" / "0003.png").unlink()
    page.refused = ("/label/image/0003",)
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await page.wait_for("document.getElementById('message').textContent.includes('no longer exists')")
    await press(page, "s")
    await shows(page, "0002")
    await page.wait_for("document.getElementById('message').hidden")


@needs_axe
async def test_axe_core_finds_nothing(page: Page, labels: Labels) -> None:
    await page.open(f"{labels.base}/label")
    await shows(page, "0003")
    await press(page, "b")
    await page.wait_for("document.querySelectorAll('#list button').length === 2")
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    await accessible_everywhere(page)
    for number in (3, 2, 1, 0):
        await shows(page, f"{number:04d}")
        await press(page, "Enter")
    await page.wait_for("document.getElementById('message').textContent.includes('All frames are reviewed')")
    await accessible_everywhere(page)


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
