"""Zones and lines drawn on the page by mouse, touch and keyboard, as the parameters of a node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import accessible_everywhere, needs_axe
from chromium import Page, needs_chromium
from edgecam_core.events.settings import EventsSettings
from edgecam_detector.node import DetectorNode
from edgecam_ros.node import EdgecamNode
from rclpy.parameter import Parameter
from running import running
from tiny_models import color_detector
from viewer_process import ViewerProcess

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
VIEWER = ("webrtc:=false",)
TILE = "edgecam.cameras[0].tile"
SHAPES = f"{TILE}.shapes.shapes"
SVG = "document.querySelector('svg.shapes')"
RESPONSE = "document.querySelector('.drawing .response').textContent"
CODES = {"Enter": 13, "Escape": 27, "Delete": 46, "ArrowRight": 39, "ArrowDown": 40, "ArrowLeft": 37, "ArrowUp": 38}


class Events(EdgecamNode[EventsSettings]):
    """The parameters of the events node, as declared and checked by its core."""

    settings_type = EventsSettings


@pytest.fixture
def events() -> Iterator[Events]:
    values = {"zones": ["sofa: 0.1234567,0.5 0.4,0.5 0.4,0.9"], "rules": ["dog-on-sofa: dog enters sofa"]}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with running(Events("events", namespace="/camera", parameter_overrides=overrides)) as node:
        yield node


async def opened(page: Page, viewer: ViewerProcess) -> None:
    await page.open(viewer.url)
    await page.wait_for(f"edgecam.cameras[0].shown > 3 && !{TILE}.find('.draw').hidden")
    await page.evaluate(f"{TILE}.find('.draw').click()")
    await page.wait_for(f"Boolean({SHAPES} && {SVG})")


async def point(page: Page, x: float, y: float) -> tuple[float, float]:
    """The screen position of a point given as fractions of the frame."""
    found = await page.evaluate(
        f"(() => {{ const r = {SVG}.getBoundingClientRect(); return [r.x + {x} * r.width, r.y + {y} * r.height]; }})()"
    )
    return found[0], found[1]


async def click(page: Page, x: float, y: float) -> None:
    left, top = await point(page, x, y)
    for kind in ("mousePressed", "mouseReleased"):
        await page.call("Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1)


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    places = (await point(page, *start), await point(page, *end), await point(page, *end))
    for kind, (x, y) in zip(("mousePressed", "mouseMoved", "mouseReleased"), places, strict=True):
        buttons = 0 if kind == "mouseReleased" else 1
        await page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


async def tap(page: Page, x: float, y: float) -> None:
    left, top = await point(page, x, y)
    for kind, points in (("touchStart", [{"x": left, "y": top}]), ("touchEnd", [])):
        await page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)


async def press(page: Page, *keys: str, modifiers: int = 0) -> None:
    for key in keys:
        code = CODES.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 and not modifiers else {}
            await page.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers, **text
            )


async def push(page: Page, name: str) -> None:
    await page.evaluate(f"document.querySelector('.drawing button.{name}').click()")


async def save(page: Page) -> None:
    await push(page, "save")
    await page.becomes(RESPONSE, "Saved")


async def names(page: Page, *expected: str) -> None:
    await page.becomes(
        "[...document.querySelectorAll('.drawing .names button')].map((one) => one.textContent)", [*expected]
    )


async def test_a_zone_by_mouse_named_moved_undone_and_saved(page: Page, viewer: ViewerProcess, events: Events) -> None:
    await opened(page, viewer)
    await names(page, "Zone sofa")
    await push(page, "new-zone")
    for place in ((0.5, 0.1), (0.9, 0.1), (0.9, 0.4)):
        await click(page, *place)
    await page.becomes(f"{SHAPES}.current.points.length", 3)
    await click(page, 0.5, 0.1)  # the first point closes it
    await page.becomes(f"{SHAPES}.drawing", False)
    field = "document.querySelector('.drawing .name')"
    await page.evaluate(f"{field}.value = 'garden'; {field}.dispatchEvent(new Event('change'))")
    await names(page, "Zone sofa", "Zone garden")
    await drag(page, (0.9, 0.4), (0.8, 0.6))
    await page.wait_for(f"Math.abs({SHAPES}.current.points[2][1] - 0.6) < 0.01")
    await push(page, "undo")
    await page.wait_for(f"Math.abs({SHAPES}.current.points[2][1] - 0.4) < 0.01")
    await push(page, "redo")
    await save(page)
    sofa, garden = events.settings.zones
    assert sofa == "sofa: 0.1234567,0.5 0.4,0.5 0.4,0.9", "an untouched shape stays unchanged"
    zone = events.settings.parsed_zones()[1]
    assert garden.startswith("garden: ")
    for found, expected in zip(zone.points.tolist(), [(0.5, 0.1), (0.9, 0.1), (0.8, 0.6)], strict=True):
        assert found == pytest.approx(expected, abs=0.01)
    assert page.problems == []


async def test_a_line_by_touch(page: Page, viewer: ViewerProcess, events: Events) -> None:
    await page.size(390, 844, 2.0, mobile=True)
    await opened(page, viewer)
    await push(page, "new-line")
    await tap(page, 0.2, 0.9)
    await tap(page, 0.8, 0.9)
    await names(page, "Zone sofa", "Line line-1")
    await page.becomes(f"{SHAPES}.drawing", False)
    await page.wait_for("!!document.querySelector('.shapes .arrow')")
    await save(page)
    (line,) = events.settings.parsed_lines()
    assert line.name == "line-1"
    assert [value for xy in line.points.tolist() for value in xy] == pytest.approx([0.2, 0.9, 0.8, 0.9], abs=0.02)
    assert page.problems == []


async def test_a_zone_by_keyboard_and_a_point_deleted(page: Page, viewer: ViewerProcess, events: Events) -> None:
    await opened(page, viewer)
    await page.evaluate("document.querySelector('.drawing .new-zone').focus()")
    await page.evaluate("document.activeElement.click()")
    await page.wait_for(f"document.activeElement === {SVG}")
    await press(page, " ")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        await press(page, *[key] * 4, modifiers=8)
        await press(page, " ")
    await page.becomes(f"{SHAPES}.current.points.length", 4)
    await press(page, "Enter")
    await page.becomes(f"{SHAPES}.drawing", False)
    await press(page, ".", "Delete")
    await page.becomes(f"{SHAPES}.current.points", [[0.7, 0.5], [0.7, 0.7], [0.5, 0.7]])
    await press(page, "ArrowUp", modifiers=8)
    await press(page, "z", modifiers=2)
    await press(page, "ArrowLeft")
    await save(page)
    assert events.settings.zones[1] == "zone-1: 0.695,0.5 0.695,0.7 0.495,0.7"
    assert page.problems == []


async def test_a_refusal_is_shown_with_its_reason_and_nothing_is_lost(
    page: Page, viewer: ViewerProcess, events: Events
) -> None:
    await opened(page, viewer)
    await page.evaluate("document.querySelector('.drawing .names button').click()")
    await push(page, "delete")  # a rule names it
    await names(page)
    await push(page, "save")
    await page.wait_for(f"{RESPONSE}.includes('refused') && {RESPONSE}.includes('sofa')")
    assert events.settings.zones == ("sofa: 0.1234567,0.5 0.4,0.5 0.4,0.9",)
    await push(page, "undo")
    field = "document.querySelector('.drawing .name')"
    await page.wait_for(f"{field} && !document.querySelector('.drawing .chosen').hidden")
    await page.evaluate(f"{field}.value = 'no name!'; {field}.dispatchEvent(new Event('change'))")
    await push(page, "save")
    await page.wait_for(f"{RESPONSE}.includes('letters, digits')")
    await push(page, "undo")
    events.set_parameters([Parameter("lines", value=["gate: 0,0 1,1"])])
    await push(page, "save")
    await page.wait_for(f"{RESPONSE}.includes('changed elsewhere')")
    await push(page, "close")
    await page.wait_for(f"!{SVG} && {TILE}.find('.drawing').hidden")


async def test_a_zone_becomes_a_region_of_the_detector(
    page: Page, viewer: ViewerProcess, events: Events, tmp_path: Path
) -> None:
    given = {"model": str(color_detector(tmp_path / "colors.onnx")), "backend": "onnxruntime", "threads": 1,
             "regions": ["0,0 0.2,0 0.2,0.2"]}  # fmt: skip
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    remap = ["--ros-args", "-r", "image_raw:=unused", "-r", "detections:=unused_detections"]
    box = "document.querySelector('.drawing .region input')"
    with running(DetectorNode(namespace="/camera", parameter_overrides=overrides, cli_args=remap)) as detector:
        for expected in (2, 1):
            await opened(page, viewer)
            await page.evaluate("document.querySelector('.drawing .names button').click()")
            await page.wait_for(f"{box}.checkVisibility() && {box}.checked === {'false' if expected == 2 else 'true'}")
            await page.evaluate(f"{box}.click()")
            await save(page)
            assert len(detector.settings.regions) == expected
            assert detector.settings.regions[0] == "0,0 0.2,0 0.2,0.2"
    assert page.problems == []


@needs_axe
async def test_axe_core_finds_nothing(page: Page, viewer: ViewerProcess, events: Events) -> None:
    await opened(page, viewer)
    await page.evaluate("document.querySelector('.drawing .names button').click()")
    await accessible_everywhere(page)
