"""The page's panels for the optional nodes: recorder, collector, shadow model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from axe import accessible
from chromium import Page, needs_chromium
from edgecam_collector.node import CollectorNode
from edgecam_core.collect.collection import Collection
from edgecam_core.recording.reader import open_recording
from edgecam_core.types import Frame
from edgecam_detector.node import DetectorNode
from edgecam_recorder.node import RecorderNode
from edgecam_ros.conversions import image_to_ros
from edgecam_ros.qos import image_qos
from rclpy.parameter import Parameter
from ros_peer import Peer
from running import running
from sensor_msgs.msg import Image
from tiny_models import color_detector, quadrants
from viewer_process import ViewerProcess
from waiting import wait_until

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]
VIEWER = ("webrtc:=false",)
RECORDER, COLLECTOR, SHADOW = (f"document.getElementById('{name}')" for name in ("recorder", "collector", "shadow"))


def given(**values: object) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


async def test_without_these_nodes_there_are_no_panels(page: Page, viewer: ViewerProcess) -> None:
    await page.open(viewer.url)
    await page.wait_for("window.edgecam && edgecam.cameras[0]?.shown > 3")
    for panel in (RECORDER, COLLECTOR, SHADOW):
        await page.becomes(f"{panel}.hidden", True)


async def test_the_recorder_is_started_preserved_and_stopped(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    values = given(directory=str(tmp_path), record_at_start=False, rolling=True, topics=["detections"])
    button, preserve = f"{RECORDER}.querySelectorAll('button')[0]", f"{RECORDER}.querySelectorAll('button')[1]"
    output, file = (
        f"{RECORDER}.querySelector('.response').textContent",
        f"{RECORDER}.querySelector('.file').textContent",
    )
    with running(RecorderNode(namespace="/camera", parameter_overrides=values)) as recorder:
        await page.open(viewer.url)
        await page.wait_for(f"!{RECORDER}.hidden && {RECORDER}.innerText.includes('waiting for ~/record')")
        await page.becomes(f"{preserve}.hidden", True)
        await page.evaluate(f"{button}.click()")
        await page.wait_for(f"{output}.startsWith('Recording to {tmp_path}')")
        await page.wait_for(f"{file}.startsWith('{tmp_path}') && {file}.endsWith(' MB')")
        await page.becomes(f"{button}.textContent + {button}.ariaPressed", "Stoptrue")
        await accessible(page)
        await asyncio.to_thread(wait_until, lambda: recorder.report().values["messages"] != 0)
        await page.wait_for(f"!{preserve}.hidden")
        await page.evaluate(f"{preserve}.click()")
        await page.wait_for(f"{output}.startsWith('Preserved: {tmp_path}')")
        preserved = (await page.evaluate(output)).removeprefix("Preserved: ")
        await page.evaluate(f"{button}.click()")
        await page.wait_for(f"{output}.startsWith('Stopped: ')")
        await page.becomes(f"{button}.textContent + {button}.ariaPressed", "Recordfalse")
        assert page.problems == []
    assert "/camera/detections" in {one.topic.name for one in open_recording(Path(preserved)).messages()}
    await page.becomes(f"{RECORDER}.hidden", True)


async def test_the_recorders_problem_is_shown(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    values = given(directory=str(folder), record_at_start=False, topics=["nobody_publishes_this"])
    with running(RecorderNode(namespace="/camera", parameter_overrides=values)):
        await page.open(viewer.url)
        await page.wait_for(f"!{RECORDER}.hidden")
        await page.evaluate(f"{RECORDER}.querySelector('button').click()")
        await page.wait_for(f"{RECORDER}.querySelector('.condition').textContent.includes('nobody_publishes_this')")
        await page.becomes(f"{RECORDER}.dataset.level", "warn")
        folder.rename(tmp_path / "moved")
        folder.write_text("in the way")
        await page.evaluate("edgecam.link.send({ type: 'recorder', value: false })")
        await page.wait_for(f"{RECORDER}.querySelector('.response').textContent.includes('could not be completed')")


async def test_a_request_that_gets_no_answer_says_so(page: Page, viewer: ViewerProcess) -> None:
    """The connection ends before the answer, there is none, or the viewer refuses the request."""
    outputs = [f"{panel}.querySelector('.response').textContent" for panel in (RECORDER, COLLECTOR)]
    await page.open(viewer.url)
    await page.wait_for("window.edgecam && edgecam.cameras[0]?.shown > 3")
    asked = "edgecam.link.ask({ type: 'recorder', value: true }); edgecam.link.ask({ type: 'keep' });"
    lost = "'The connection to the viewer was lost'"
    for sequence in (f"{asked} edgecam.link.socket.close()", f"edgecam.link.socket.close(); {asked}"):
        await page.evaluate(f"edgecam.link.giveUp(''); {sequence}")
        for output in outputs:
            await page.wait_for(f"{output}.startsWith({lost})")
        await page.wait_for("edgecam.link.socket.readyState === WebSocket.OPEN")
    # Of several requests that wait, only the one that the viewer refuses ends.
    await page.evaluate(
        "edgecam.link.asked.set('keep 0', { type: 'keep' }); edgecam.link.ask({ type: 'recorder', value: 7 })"
    )
    await page.wait_for(f"{outputs[0]}.includes('true or false')")
    await page.becomes("[...edgecam.link.asked.keys()]", ["keep 0"])
    assert page.problems == []


async def press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        text = {"text": key} if kind == "keyDown" else {}
        await page.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=ord(key.upper()), **text)


async def test_keep_by_button_and_by_key(page: Page, viewer: ViewerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    values = given(directory=str(folder), rules=["class"], keep_classes=["nothing"])
    output = f"{COLLECTOR}.querySelector('.response').textContent"
    with running(CollectorNode(namespace="/camera", parameter_overrides=values)):
        await page.open(viewer.url)
        await page.wait_for(f"!{COLLECTOR}.hidden && {COLLECTOR}.querySelector('a').hidden")
        await page.evaluate(f"{COLLECTOR}.querySelector('button').click()")
        await page.wait_for(f"{output}.startsWith('Kept: ')")
        first = await page.evaluate(output)
        await press(page, "k")
        await page.wait_for(f"{output}.startsWith('Kept: ') && {output} !== {json.dumps(first)}")
        await page.wait_for(f"{COLLECTOR}.querySelector('.condition').textContent === '2 frames kept'")
        await accessible(page)
        assert page.problems == []
    assert len(Collection.open(folder).ids()) == 2


async def test_a_shadow_model_and_its_agreement_by_class(
    page: Page, viewer: ViewerProcess, tmp_path: Path, peer: Peer
) -> None:
    labels = {"labels": json.dumps(["BACKGROUND", "red", "green", "purple"])}
    shadow = color_detector(tmp_path / "shadow.onnx", metadata=labels)
    live = color_detector(tmp_path / "live.onnx")
    values = given(model=str(live), shadow_model=str(shadow), backend="onnxruntime", threads=1)
    topics = ["image_raw:=quadrants", "detections:=quadrants_found"]
    remap = ["--ros-args", *(word for topic in topics for word in ("-r", topic))]
    images = peer.node.create_publisher(Image, "/camera/quadrants", image_qos())

    def publish() -> None:
        stamp = peer.node.get_clock().now().nanoseconds
        images.publish(image_to_ros(Frame.from_array(quadrants(32, 32), "bgr8", stamp, "lens")))

    with running(DetectorNode(namespace="/camera", parameter_overrides=values, cli_args=remap)):
        timer = peer.node.create_timer(0.1, publish)
        await page.open(viewer.url)
        rows = f"[...{SHADOW}.querySelectorAll('tbody tr')].map((one) => one.innerText)"
        await page.wait_for(f"!{SHADOW}.hidden && {rows}.some((one) => /^red\\s+100 % \\(\\d+ of \\d+\\)/.test(one))")
        await page.wait_for(f"{rows}.some((one) => /^purple\\s+0 % /.test(one))")
        await page.wait_for(f"{SHADOW}.innerText.includes('camera/detector, ')")
        await accessible(page)
        assert page.problems == []
        peer.destroy(timer)
    await page.becomes(f"{SHADOW}.hidden", True)
