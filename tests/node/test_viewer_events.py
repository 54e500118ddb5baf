"""The timeline in a real browser: thumbnails, filters, older events, seeking in clips, new events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import accessible, needs_axe
from chromium import Page, needs_chromium
from clips import make_clip
from timeline import fill
from viewer_served import Served

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
SHOWN = "document.querySelectorAll('.event').length"
FIRST = "document.querySelector('.event')"
MESSAGE = "document.getElementById('message').textContent"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 100, codec="h264")
    return path.read_bytes()


@pytest.fixture
def served(tmp_path: Path, clip: bytes, request: pytest.FixtureRequest) -> Iterator[Served]:
    fill(tmp_path / "events", getattr(request, "param", 60), clip)
    with Served(silent=True, events=str(tmp_path / "events")) as one:
        yield one


async def choose(page: Page, name: str, value: str) -> None:
    field = f"document.getElementById('filters').elements.{name}"
    await page.wait_for(f"{field}.tagName === 'INPUT' || [...{field}.options].some((one) => one.value === '{value}')")
    await page.evaluate(f"{field}.value = '{value}'; {field}.dispatchEvent(new Event('change', {{ bubbles: true }}))")


async def test_newest_events_come_first_older_on_request_and_new_ones_live(
    page: Page, served: Served, clip: bytes, tmp_path: Path
) -> None:
    await page.open(f"{served.base}/events")
    await page.becomes(SHOWN, 50)
    await page.becomes(f"{FIRST}.dataset.id", "e59")
    await page.becomes(f"{FIRST}.querySelector('h2').textContent", "odd")
    await page.wait_for(f"{FIRST}.querySelector('.what').textContent.startsWith('person enters garden (front, 56 %')")
    await page.wait_for(f"{FIRST}.querySelector('.when').textContent.endsWith(', 2.0 s')")
    await page.wait_for(f"{FIRST}.querySelector('img').naturalWidth === 160")
    await page.evaluate("document.getElementById('older').click()")
    await page.becomes(SHOWN, 60)
    await page.becomes("document.getElementById('older').hidden", True)
    ids = "[...document.querySelectorAll('.event')].map((one) => one.dataset.id)"
    await page.becomes(ids, [f"e{number}" for number in reversed(range(60))])
    fill(tmp_path / "events", 2, clip, first=60)
    await page.becomes(ids, [f"e{number}" for number in reversed(range(62))])
    assert page.problems == []
    assert {url.split("/")[2] for url in page.requests if url.startswith("http")} == {served.base.split("/")[2]}


async def test_filters_stay_in_the_address(page: Page, served: Served) -> None:
    await page.open(f"{served.base}/events")
    await choose(page, "rule", "even")
    await page.becomes(SHOWN, 30)
    await page.wait_for("location.search === '?rule=even'")
    await choose(page, "zone", "garden")
    await page.becomes(MESSAGE, "no event matches the filters")
    await page.evaluate("document.querySelector('button[type=reset]').click()")
    await page.becomes(SHOWN, 50)
    day = await page.evaluate("new Date().toLocaleDateString('sv')")
    await choose(page, "day", day)
    hours = await page.evaluate("new Date().getHours() + 1")
    await page.wait_for(f"Math.abs({SHOWN} - {min(hours, 50)}) <= 1")
    await page.open(f"{served.base}/events?label=dog")
    await page.becomes(SHOWN, 30)
    await page.becomes("document.getElementById('filters').elements.label.value", "dog")
    assert page.problems == []


async def test_a_clip_plays_and_can_seek(page: Page, served: Served) -> None:
    await page.open(f"{served.base}/events")
    await page.wait_for(f"!{FIRST}.querySelector('.play').hidden")
    await page.evaluate(f"{FIRST}.querySelector('.play').click()")
    video = f"{FIRST}.querySelector('video')"
    await page.wait_for(f"{video}.currentTime > 0 && {video}.videoWidth === 160")
    await page.evaluate(f"{video}.pause(); {video}.currentTime = 3")
    await page.wait_for(f"!{video}.seeking && Math.abs({video}.currentTime - 3) < 0.1")
    await page.wait_for(f"{FIRST}.querySelector('.save').download === 'e59.mp4'")
    await accessible(page)
    assert page.problems == []


async def test_a_clip_of_jpeg_frames_plays_too(page: Page, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", 50, codec="jpeg")
    fill(tmp_path / "events", 1, path.read_bytes(), suffix=".mkv")
    with Served(silent=True, events=str(tmp_path / "events")) as served:
        await page.open(f"{served.base}/events")
        await page.wait_for(f"!{FIRST}.querySelector('.play').hidden")
        await page.evaluate(f"{FIRST}.querySelector('.play').click()")
        await page.wait_for(f"{FIRST}.querySelector('img.frames')?.naturalWidth === 160")
        await page.wait_for(f"{FIRST}.querySelector('img.frames').getBoundingClientRect().width > 100")


async def test_a_clip_that_cannot_be_played_is_reported(page: Page, tmp_path: Path) -> None:
    fill(tmp_path / "events", 1, b"no video at all")
    with Served(silent=True, events=str(tmp_path / "events")) as served:
        await page.open(f"{served.base}/events")
        await page.wait_for(f"!{FIRST}.querySelector('.play').hidden")
        await page.evaluate(f"{FIRST}.querySelector('.play').click()")
        await page.wait_for(f"{FIRST}.querySelector('.view').innerText.includes('download it')")


@needs_axe
@pytest.mark.parametrize("served", [6], indirect=True)
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)], ids=["desktop", "phone"])
async def test_axe_core_finds_nothing(page: Page, served: Served, width: int, height: int) -> None:
    await page.size(width, height, mobile=width < 500)
    await page.open(f"{served.base}/events")
    await page.becomes(SHOWN, 6)
    await page.evaluate(f"{FIRST}.querySelector('.play').click()")
    await page.wait_for(f"{FIRST}.querySelector('video').videoWidth === 160")
    shapes = (
        "[...document.querySelectorAll('.event .view')].map((one) => (one.offsetWidth / one.offsetHeight).toFixed(1))"
    )
    await page.becomes(f"[...new Set({shapes})]", ["1.8"])
    await page.becomes(
        "[...document.querySelectorAll('.event')].filter((one) => one.scrollHeight > one.offsetHeight).length", 0
    )
    for scheme in ("light", "dark"):
        await page.theme(scheme)
        await accessible(page)
    small = (
        "[...document.querySelectorAll('button, select, input, a.save')].filter((one) => one.checkVisibility())"
        ".filter((one) => one.offsetHeight < 44).map((one) => one.outerHTML)"
    )
    if width < 500:
        await page.becomes(small, [])


async def test_without_a_folder_the_page_explains_how_to_get_one(page: Page) -> None:
    with Served(silent=True) as served:
        await page.open(f"{served.base}/events")
        await page.wait_for(f"{MESSAGE}.includes('events:=FOLDER')")
        await accessible(page)
