"""The page in a real browser: frames move, boxes match the objects, the page survives a restart."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from chromium import Page, needs_chromium
from edgecam_detector.node import DetectorNode
from network import free_tcp_port
from rclpy.parameter import Parameter
from running import running
from tiny_models import color_detector
from viewer_page import BOX_ON_SCREEN, MOVING, frozen_box, screenshot, square_appears, square_on_screen
from viewer_process import ViewerProcess
from viewer_scene import SIDE, ViewerScene
from waiting import eventually, wait_until

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[DetectorNode]:
    """A real detector next to the scene, subscribed to a topic without a publisher."""
    given = {"model": str(color_detector(tmp_path / "colors.onnx")), "backend": "onnxruntime", "threads": 1}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    remap = ["--ros-args", "-r", "image_raw:=unused", "-r", "detections:=unused_detections"]
    node = DetectorNode(namespace="/camera", parameter_overrides=overrides, cli_args=remap)
    with running(node):
        yield node


@pytest.mark.parametrize(("width", "height", "scale"), [(1280, 800, 1.0), (390, 844, 2.0)], ids=["desktop", "phone"])
async def test_the_frame_moves_and_boxes_match_the_objects(
    page: Page, tmp_path: Path, viewer: ViewerProcess, width: int, height: int, scale: float
) -> None:
    await page.size(width, height, scale, mobile=scale > 1)
    await page.open(viewer.url)
    await page.wait_for(MOVING)
    first = await page.evaluate("edgecam.cameras[0].facts.stamp")
    await page.wait_for(f"BigInt(edgecam.cameras[0].facts.stamp) > {first}n + 1000000000n")
    drawn = await frozen_box(page, tmp_path / "page.png", scale)
    assert (drawn["label"], drawn["score"]) == ("giraffe", 0.97)
    assert drawn["box"][2] - drawn["box"][0] == SIDE
    assert page.problems == []
    assert {url.split("/")[2] for url in page.requests} == {viewer.url.split("/")[2]}, (
        "a file was loaded from another host"
    )


async def test_rates_and_latency_are_shown(page: Page, viewer: ViewerProcess) -> None:
    await page.open(viewer.url)
    await page.wait_for(MOVING)
    figures = "[...document.querySelectorAll('.figures span')].map((one) => one.textContent)"
    await page.wait_for(f"/^live,[\\d.]+ fps,latency [\\d.]+ ms$/.test({figures}.join())")
    await page.wait_for("edgecam.cameras[0].latency > 0")
    chips = "[...document.querySelectorAll('.chip span')].map((one) => one.textContent).sort()"
    await page.becomes(chips, ["giraffe", "zebra"])
    await page.wait_for("document.querySelector('.node[data-name=\"camera/viewer\"]').dataset.level === 'ok'")


async def test_a_class_can_be_hidden(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    await page.open(viewer.url)
    await page.wait_for(MOVING + " && document.querySelectorAll('.chip').length === 2")
    await frozen_box(page, tmp_path / "page.png")
    chip = "[...document.querySelectorAll('.chip')].find((one) => one.innerText.includes('giraffe'))"
    hue = await page.evaluate(f"{chip}.style.getPropertyValue('--hue')")
    bgr = [int(hue[at : at + 2], 16) for at in (5, 3, 1)]

    async def drawn() -> bool:
        left, top, right, _ = map(round, (await page.evaluate(BOX_ON_SCREEN))["screen"])
        pixels = await screenshot(page, tmp_path / "page.png")
        line = pixels[top - 3 : top + 4, (left + right) // 2].astype(int)  # one row may be half covered
        return bool(np.abs(line - bgr).max(axis=1).min() < 20)

    for visible in (True, False, True):  # the frame is frozen; the browser draws at any time
        await eventually(drawn, lambda shown, visible=visible: shown is visible, what=f"boxes shown: {visible}")
        await page.evaluate(f"{chip}.click()")


async def test_the_page_reconnects_after_the_node_restarts(page: Page, scene: ViewerScene, tmp_path: Path) -> None:
    port = f"port:={free_tcp_port()}"
    with ViewerProcess(tmp_path, port) as viewer:
        await page.open(viewer.url)
        await page.wait_for(MOVING)
    assert viewer.process.returncode == 0, viewer.text()
    await page.wait_for("document.querySelector('#state span').textContent.includes('does not respond')")
    shown = await page.evaluate("edgecam.cameras[0].shown")
    with ViewerProcess(tmp_path, port) as viewer:
        await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 3")
        # There are two viewers of one name now, which is a separate error.
        await page.wait_for("!document.querySelector('#state span').textContent.includes('does not respond')")


async def test_without_websockets_frames_are_shown_without_boxes(
    page: Page, viewer: ViewerProcess, tmp_path: Path
) -> None:
    broken = """window.WebSocket = class {
      constructor() { setTimeout(() => this.onclose(), 20); }
      close() {}
    }"""
    async with page.script(broken):
        await page.open(viewer.url)
        await page.wait_for("document.getElementById('plain').naturalWidth === 640")
    await square_appears(page, tmp_path / "page.png")


async def test_frames_without_a_detector_are_shown_without_boxes(
    page: Page, scene: ViewerScene, viewer: ViewerProcess, tmp_path: Path
) -> None:
    scene.detect = False
    try:
        await page.open(viewer.url)
        await page.wait_for("edgecam.cameras[0].shown > 3 && edgecam.cameras[0].facts.detections === null")
        await square_appears(page, tmp_path / "page.png")
    finally:
        scene.detect = True


async def test_a_click_enlarges_a_camera_and_only_that_one_is_sent(page: Page, tmp_path: Path) -> None:
    topics = "image_topics:=[/left/image_raw,/right/image_raw]"
    results = "detections_topics:=[/left/detections,/right/detections]"
    with (
        ViewerScene("/left"),
        ViewerScene("/right"),
        ViewerProcess(tmp_path, "port:=0", topics, results) as viewer,
    ):
        await page.open(viewer.url)
        await page.wait_for("window.edgecam && edgecam.cameras.length === 2")
        await page.wait_for("edgecam.cameras.every((camera) => camera.shown > 3)")
        small = await page.evaluate("edgecam.cameras[1].tile.view.clientWidth")
        await page.evaluate("edgecam.cameras[1].tile.view.click()")
        await page.wait_for("edgecam.cameras[0].tile.element.hidden && !edgecam.cameras[1].tile.element.hidden")
        await page.wait_for(f"edgecam.cameras[1].tile.view.clientWidth > 1.5 * {small}")
        await page.wait_for("edgecam.cameras[0].fps() === 0")
        shown = await page.evaluate("edgecam.cameras[1].shown")
        await page.wait_for(f"edgecam.cameras[1].shown > {shown} + 3")
        shown = await page.evaluate("edgecam.cameras[0].shown")
        await page.evaluate("edgecam.cameras[1].tile.view.click()")
        await page.wait_for(f"edgecam.cameras[0].shown > {shown} + 3")
        assert page.problems == []


async def test_the_slider_sets_the_detectors_parameter(
    page: Page, viewer: ViewerProcess, detector: DetectorNode
) -> None:
    await page.open(viewer.url)
    slider = "document.querySelector('.slider input')"
    await page.wait_for(f"!{slider}.disabled && {slider}.value === '0.5'")
    await page.evaluate(f"{slider}.value = 0.83; {slider}.dispatchEvent(new Event('input'))")
    await asyncio.to_thread(wait_until, lambda: detector.settings.confidence_threshold == 0.83)
    await page.evaluate(f"{slider}.dispatchEvent(new Event('change'))")
    detector.set_parameters([Parameter("confidence_threshold", value=0.25)])
    await page.wait_for(f"{slider}.value === '0.25'")  # values set by others are shown, too
    # A request for something that is not offered changes nothing.
    await page.evaluate("edgecam.link.send({ type: 'threshold', camera: 0, value: 7 })")
    await page.evaluate("edgecam.link.send({ type: 'threshold', camera: 9, value: 0.5 })")
    await page.evaluate("edgecam.link.send({ type: 'set', name: 'model', value: '/etc/passwd' })")
    await page.wait_for("document.querySelector('.saved').textContent.includes('not a known request')")
    assert detector.settings.confidence_threshold == 0.25
    assert page.problems == []


async def test_the_camera_node_saves_what_the_page_requests(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    parameters = ["source:=test://ball", "framerate:=10.0", f"output_directory:={folder}"]
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    run = "import sys; from edgecam_camera.node import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "--ros-args", "-r", "__ns:=/camera", "-r", "image_raw:=unused", *arguments]
    camera = subprocess.Popen(command, start_new_session=True)
    try:
        await page.open(viewer.url)
        await page.wait_for("!document.querySelector('.actions.camera').hidden")
        await page.evaluate("document.querySelector('.camera .snapshot').click()")
        output = "document.querySelector('.saved').textContent"
        await page.wait_for(f"{output}.startsWith('{folder}')")
        saved_at = Path(await page.wait_for(output))
        assert saved_at.exists()
        button = "document.querySelector('.camera .record')"
        await page.evaluate(f"{button}.click()")
        await page.wait_for(f"/^Stop (?!0:00)/.test({button}.textContent)")  # it counts
        await page.evaluate(f"{button}.click()")
        await page.wait_for(f"{button}.textContent === 'Record' && /camera.*m(kv|p4)/.test({output})")
        assert page.problems == []
    finally:
        camera.send_signal(signal.SIGINT)
        camera.wait(timeout=120)


async def test_a_snapshot_and_a_video_can_be_saved(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    await page.download_to(folder)
    await page.open(viewer.url)
    await page.wait_for(MOVING)
    await page.evaluate("document.querySelector('.snapshot').click()")
    await page.evaluate("document.querySelector('.record').click()")
    await page.wait_for("/^Stop (?!0:00)/.test(document.querySelector('.record').textContent)")
    before = await page.evaluate("edgecam.cameras[0].shown")
    await page.wait_for(f"edgecam.cameras[0].shown > {before} + 3")
    await page.evaluate("document.querySelector('.record').click()")
    files = await asyncio.to_thread(wait_until, lambda: saved(folder), what="two files")
    snapshot = cv2.imread(str(files[".jpg"]), cv2.IMREAD_COLOR)
    square_on_screen(snapshot)
    assert snapshot.shape == (480, 640, 3)
    video = cv2.VideoCapture(str(files.get(".webm") or files[".mp4"]))
    ok, first = video.read()
    assert ok
    assert first.std() > 5, "the video is empty"


def saved(folder: Path) -> dict[str, Path] | None:
    files = {path.suffix: path for path in folder.glob("*")} if folder.exists() else {}
    return files if len(files) == 2 and ".crdownload" not in files else None
