"""The page reports problems, keeps the user's settings, fits every screen and passes axe-core."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import accessible, accessible_everywhere, needs_axe
from chromium import Page, needs_chromium
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterType, ParameterValue, SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from ros_peer import Peer
from viewer_process import ViewerProcess
from viewer_scene import ViewerScene
from waiting import eventually, wait_until

STATE = "document.querySelector('#state span').textContent"
LEVEL = "document.getElementById('state').dataset.level"
SLIDER = "edgecam.cameras[0].tile.threshold.input"

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]


class FakeDetector:
    """The parameter services and diagnostics of a detector that responds only when the test allows it."""

    def __init__(self, name: str) -> None:
        self.peer = Peer("fake_detector")
        self.threshold = 0.5
        self.answers = threading.Event()  # whether it responds after it has set the threshold
        self.answers.set()
        self.name = name
        node = self.peer.node
        node.create_service(GetParameters, f"/{name}/get_parameters", self._get)
        node.create_service(SetParameters, f"/{name}/set_parameters", self._set)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def _get(self, _request: Any, response: GetParameters.Response) -> GetParameters.Response:
        response.values = [ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=self.threshold)]
        return response

    def _set(self, request: SetParameters.Request, response: SetParameters.Response) -> SetParameters.Response:
        self.threshold = request.parameters[0].value.double_value
        self.answers.wait(120)
        response.results = [SetParametersResult(successful=True)]
        return response

    def report(self, level: int, message: str, name: str = "", **values: str) -> None:
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        status = DiagnosticStatus(level=bytes([level]), name=name or self.name, message=message, values=pairs)
        self._publisher.publish(DiagnosticArray(status=[status]))


@pytest.fixture
def detector() -> Iterator[FakeDetector]:
    one = FakeDetector("camera/detector")
    yield one
    one.peer.close()


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewerProcess]:
    with ViewerProcess(tmp_path_factory.mktemp("viewer"), "port:=0", "webrtc:=false") as viewer:
        yield viewer


async def repeat(page: Page, expression: str, action: Any) -> None:
    """Repeat ``action`` until the expression is true."""

    async def look() -> Any:
        action()
        return await page.evaluate(f"Boolean(document.getElementById('state') && ({expression}))")

    await eventually(look, what=expression)


# Whether the tile's buttons cannot be used, and their titles.
BUTTONS = (
    "[...document.querySelectorAll('.tile .actions:not(.camera) button')].map((one) => `${one.disabled}: ${one.title}`)"
)


async def test_without_a_camera_the_header_reports_it(
    page: Page, viewer: ViewerProcess, detector: FakeDetector
) -> None:
    await page.open(viewer.url)
    await page.wait_for(f"{STATE} === 'Error: camera: no frames: /camera/image_raw has no publisher'")
    await page.becomes(LEVEL, "error")
    await page.wait_for("document.querySelector('.wait').innerText.includes('/camera/image_raw has no publisher')")
    reason = "true: no frames: /camera/image_raw has no publisher"
    await page.becomes(f"{BUTTONS}.join()", f"{reason},{reason}")
    with ViewerScene("/camera"):
        await page.wait_for(f"{LEVEL} === 'ok' && {STATE}.startsWith('live')")
        await page.wait_for("document.querySelector('.figures .word').textContent === 'live'")
        await page.becomes(f"{BUTTONS}.join()", "false: ,false: ")
    await page.wait_for(f"{LEVEL} === 'error' && {STATE}.includes('no frames')")
    await page.wait_for(f"{BUTTONS}.every((one) => one.startsWith('true: no frames'))")
    assert page.problems == []


async def test_the_header_shows_warnings_errors_and_duplicate_nodes_worst_first(
    page: Page, viewer: ViewerProcess, detector: FakeDetector
) -> None:
    with ViewerScene("/camera"):
        await page.open(viewer.url)
        warned = f"{STATE} === 'Warning: camera/detector: 3 frames late'"
        await repeat(page, warned, lambda: detector.report(1, "3 frames late"))
        failed = f"{STATE} === 'Error: camera/rtp_sender: no route to 10.0.0.9 (and 1 more)'"

        def both() -> None:
            detector.report(1, "3 frames late")
            detector.report(2, "no route to 10.0.0.9", "camera/rtp_sender")

        await repeat(page, f"{failed} && document.querySelectorAll('#problems li').length === 2", both)

        def report_duplicates() -> None:
            for pid in ("17", "18"):
                detector.report(0, "running", "camera/twin", host="jetson", pid=pid)

        items = "[...document.querySelectorAll('#problems li')]"
        shown = f"{items}.some((one) => one.textContent.includes('2 nodes are named /camera/twin'))"
        row = """document.querySelector('.node[data-name="camera/twin on jetson (pid 17)"]')"""
        await repeat(page, f"{shown} && {row}", report_duplicates)
    assert page.problems == []


async def test_the_bitrates_of_an_adaptive_sender_are_shown(
    page: Page, viewer: ViewerProcess, detector: FakeDetector
) -> None:
    rates = {"target_bitrate": "1500000", "sent_bitrate": "1234567.8", "estimated_bitrate": "1130000"}
    with ViewerScene("/camera"):
        await page.open(viewer.url)
        chart = "[...document.querySelectorAll('.chart')].find((one) => one.innerText.includes('Bitrate'))"
        await page.wait_for(f"({chart}).hidden")  # without a sender
        shown = f"[...{chart}.querySelectorAll('li')].filter((one) => !one.hidden).map((one) => one.innerText).join()"
        expected = "target1.5 Mbit/s,sent1.2 Mbit/s,estimated1.1 Mbit/s"
        text = f"({chart}.checkVisibility() && {shown}.replace(/\\n/g, ''))"
        await repeat(
            page, f"{text} === '{expected}'", lambda: detector.report(0, "sending", "camera/rtp_sender", **rates)
        )
    assert page.problems == []


# Records every value of the slider from here on.
MOVE_SLIDER = f"""(() => {{
  window.seen = [];
  const one = edgecam.cameras[0].tile.threshold, write = one.write;
  one.write = function (value) {{ seen.push(value); write.call(this, value); }};
  {SLIDER}.value = 0.83;
  {SLIDER}.dispatchEvent(new Event('input'));
  {SLIDER}.dispatchEvent(new Event('change'));
}})()"""


async def test_the_slider_does_not_go_back_when_the_response_is_lost(
    page: Page, viewer: ViewerProcess, detector: FakeDetector
) -> None:
    with ViewerScene("/camera"):
        await page.open(viewer.url)
        await page.wait_for(f"!{SLIDER}.disabled && {SLIDER}.value === '0.5'")
        detector.answers.clear()
        await page.evaluate(MOVE_SLIDER)
        await page.wait_for("document.querySelector('.note').textContent.includes('did not respond within')")
        detector.answers.set()
        await page.wait_for(f"!{SLIDER}.disabled && seen.length > 3")
        await page.becomes("[...new Set(seen)].join()", "0.83")


async def test_the_slider_never_goes_back_and_stays_when_the_detector_dies(
    page: Page, viewer: ViewerProcess, detector: FakeDetector
) -> None:
    with ViewerScene("/camera"):
        await page.open(viewer.url)
        await page.wait_for(f"!{SLIDER}.disabled && {SLIDER}.value === '0.5'")
        await page.evaluate(MOVE_SLIDER)
        await page.wait_for("edgecam.cameras[0].tile.threshold.requested === null && seen.length > 3")
        await page.becomes("[...new Set(seen)].join()", "0.83")
        await asyncio.to_thread(wait_until, lambda: detector.threshold == 0.83)
        detector.threshold = 0.25
        await page.wait_for(f"{SLIDER}.value === '0.25'")  # values set by others are shown, too
        detector.peer.close()
        await page.wait_for(f"{SLIDER}.disabled")
        await page.becomes("document.querySelector('.slider').hidden", False)
        await page.becomes(f"{SLIDER}.value", "0.25")
        await page.wait_for("document.querySelector('.note').textContent === `node 'detector' is not running`")
    assert page.problems == []


TOPICS = {
    "image_topics": "image_raw",
    "detections_topics": "detections",
    "detector_nodes": "detector",
    "camera_nodes": "camera_driver",
}


def four_cameras(names: list[str]) -> list[str]:
    return [f"{key}:=[{','.join(f'/{name}/{topic}' for name in names)}]" for key, topic in TOPICS.items()]


async def test_each_camera_has_its_own_figures_and_controls(page: Page, tmp_path: Path) -> None:
    first, second = FakeDetector("front/detector"), FakeDetector("rear/detector")
    second.threshold = 0.75
    names = ["front", "rear", "left", "right"]
    try:
        with ViewerScene("/front"), ViewerProcess(tmp_path, "port:=0", "webrtc:=false", *four_cameras(names)) as viewer:
            await page.open(viewer.url)
            await page.wait_for("window.edgecam && edgecam.cameras.length === 4 && edgecam.cameras[0].shown > 3")
            values = "edgecam.cameras.map(({ tile }) => tile.threshold.input.value)"
            await page.wait_for(f"{values}[0] === '0.5' && {values}[1] === '0.75'")
            words = "[...document.querySelectorAll('.figures .word')].map((one) => one.textContent).join()"
            await page.wait_for(f"{words} === 'live,no frames,no frames,no frames'")
            await page.evaluate("edgecam.cameras[1].tile.threshold.request(0.6, false)")
            await page.wait_for("edgecam.cameras[1].tile.threshold.requested === null")
            await asyncio.to_thread(wait_until, lambda: (first.threshold, second.threshold) == (0.5, 0.6))
            labels = "[...document.querySelectorAll('.tile button, .tile input')].map((one) => one.ariaLabel)"
            # The name of every control includes its camera.
            await page.wait_for(f"new Set({labels}).size === {labels}.length")
            await accessible(page)
    finally:
        first.peer.close()
        second.peer.close()


@needs_axe
@pytest.mark.parametrize("frames", [True, False], ids=["camera", "no camera"])
async def test_axe_core_finds_nothing(page: Page, viewer: ViewerProcess, detector: FakeDetector, frames: bool) -> None:
    with ViewerScene("/camera", detect=frames) if frames else Silent():
        await page.open(viewer.url)
        await repeat(
            page,
            f"document.querySelector('.word')?.textContent === '{'live' if frames else 'no frames'}' && "
            "[...document.querySelectorAll('#problems li')].some((one) => one.textContent.includes('rather long'))",
            lambda: detector.report(1, "a rather long warning " * 5),
        )
        await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        await accessible_everywhere(page)
        red = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
        for scheme in ("light", "dark"):
            await page.theme(scheme)
            await page.becomes(f"{red} > 128", scheme == "light")


class Silent:
    """No camera."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


async def test_on_a_phone_the_layout_is_stable_and_buttons_are_large_enough(page: Page, viewer: ViewerProcess) -> None:
    await page.size(390, 844, 2.0, mobile=True)
    await page.open(viewer.url)
    places = """JSON.stringify([...document.querySelectorAll('header, .screen, .bar, .bar button, .slider')]
      .map((one) => one.getBoundingClientRect()).map(({ x, y, width, height }) => [x, y, width, height]))"""
    await page.wait_for(f"{LEVEL} === 'error'")
    before = await page.evaluate(places)
    small = (
        "[...document.querySelectorAll('button, select, input, summary')].filter((one) => one.checkVisibility())"
        ".filter((one) => Math.min(one.offsetHeight, one.offsetWidth) < 44).map((one) => one.outerHTML)"
    )
    await page.becomes(small, [])
    with ViewerScene("/camera"):
        await page.wait_for(f"{LEVEL} !== 'error'")
        await page.becomes(places, before)
    await page.wait_for(f"{LEVEL} === 'error'")
    await page.becomes(places, before)


async def test_the_page_asks_for_the_token(page: Page, tmp_path: Path) -> None:
    with ViewerProcess(tmp_path, "port:=0", "token:=open sesame") as viewer:
        address = viewer.url.partition("/?")[0]
        await page.open(address)
        await page.wait_for("!!document.querySelector('input[name=token]')")
        await accessible(page)
        await page.evaluate("document.querySelector('input').value = 'wrong'; document.querySelector('button').click()")
        await page.wait_for("document.querySelector('[role=alert]').textContent.includes('not the token')")
        await page.evaluate(
            "document.querySelector('input').value = 'open sesame'; document.querySelector('button').click()"
        )
        await page.wait_for("window.edgecam && edgecam.cameras.length === 1")
        await page.becomes("location.href", f"{address}/")
