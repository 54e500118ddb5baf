"""The viewer node in the graph: subscriptions, diagnostics, parameters, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_camera.node import CameraNode
from rcl_interfaces.msg import Log, Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter as NodeParameter
from ros_peer import Peer
from running import running
from viewer_process import ViewerProcess, fetch
from viewer_scene import SQUARE_BGR, ViewerScene, square
from waiting import wait_until

VIEWER = ("max_fps:=4.0",)


def test_frames_are_subscribed_only_while_there_are_viewers(scene: ViewerScene, viewer: ViewerProcess) -> None:
    url = viewer.url
    wait_until(lambda: scene.node.count_subscribers("/camera/detections") == 1)
    wait_until(lambda: scene.node.count_subscribers("/camera/image_raw") == 0)
    with urllib.request.urlopen(f"{url}/stream.mjpg", timeout=120):  # a viewer
        wait_until(lambda: scene.node.count_subscribers("/camera/image_raw") == 1, 120)
    pixels = cv2.imdecode(np.frombuffer(fetch(f"{url}/snapshot.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (480, 640, 3)
    near = np.abs(pixels.astype(int) - SQUARE_BGR).max(axis=2) < 30
    x1, _, x2, _ = square(0)
    assert near.sum() > 0.9 * (x2 - x1) ** 2, "the frame is the scene's"
    wait_until(lambda: scene.node.count_subscribers("/camera/image_raw") == 0, 120)


def test_the_state_has_rates_labels_and_nodes(viewer: ViewerProcess) -> None:
    def state() -> dict | None:
        status = json.loads(fetch(f"{viewer.url}/api/status"))
        complete = status.get("nodes") and status["cameras"][0]["labels"]
        return status if complete else None

    status = wait_until(state)
    camera = status["cameras"][0]
    assert camera["name"] == "camera"
    assert camera["labels"] == ["giraffe", "zebra"]
    assert camera["detection_fps"] > 0
    assert camera["latency_ms"] >= 0
    assert "camera/viewer" in [node["name"] for node in status["nodes"]]


def diagnostics(arrays: list[DiagnosticArray]) -> dict[str, str]:
    """The newest values of the viewer; empty if there are none."""
    newest = [status for array in arrays for status in array.status if status.name == "camera/viewer"]
    return {pair.key: pair.value for pair in newest[-1].values} if newest else {}


def test_diagnostics_count_viewers_who_get_the_same_encoding(viewer: ViewerProcess, peer: Peer) -> None:
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    for count in (1, 10):
        with contextlib.ExitStack() as stack:
            addresses = [f"{viewer.url}/stream.mjpg"] * count
            streams = [stack.enter_context(urllib.request.urlopen(address, timeout=120)) for address in addresses]

            def values(streams: list = streams) -> dict[str, str] | None:
                for stream in streams:
                    stream.read(10_000)
                found, count = diagnostics(arrays), len(streams)
                rates = [float(found.get(name, 0)) for name in ("fps", "frames_sent_per_s")]
                # All are served, but each frame is encoded once.
                return found if found.get("viewers") == str(count) and rates[1] > 0.4 * count * rates[0] > 0 else None

            found = wait_until(values, 120, f"{count} viewers of one encoding")
        assert float(found["encode_ms"]) > 0
        assert found["url"] == viewer.url


def test_quality_can_be_set_while_running_and_the_port_cannot(viewer: ViewerProcess, peer: Peer) -> None:
    before = len(fetch(f"{viewer.url}/snapshot.jpg"))

    def set_parameter(name: str, value: int) -> object:
        expected = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=expected)])
        return peer.call(SetParameters, "/camera/viewer/set_parameters", request).results[0]

    assert set_parameter("jpeg_quality", 10).successful
    wait_until(lambda: len(fetch(f"{viewer.url}/snapshot.jpg")) < 0.8 * before)
    assert not set_parameter("port", 9090).successful
    refused = set_parameter("jpeg_quality", 101)
    assert not refused.successful
    assert "1 to 100" in refused.reason


def test_encoders_and_session_run_at_low_priority(tmp_path: Path) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with ViewerProcess(tmp_path, "port:=0", "niceness:=15") as viewer:
        assert viewer.url
        tasks = Path(f"/proc/{viewer.process.pid}/task").iterdir()
        nice = [os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks]
        assert max(15, own) in nice, "the encoder"
        # The thread that stops the node keeps its priority, which cannot be raised again without privileges.
        assert os.getpriority(os.PRIO_PROCESS, viewer.process.pid) == own
        group = Path(f"/proc/{viewer.process.pid}/autogroup")
        if group.exists() and group.read_text().strip():  # a kernel with autogroups
            assert group.read_text().split()[-1] == "15"


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[CameraNode]:
    """A real camera node next to the viewer, saving into a temporary folder."""
    given = {"source": "test://smpte", "framerate": 10.0, "output_directory": str(tmp_path / "saved")}
    overrides = [NodeParameter(name, value=value) for name, value in given.items()]
    remap = ["--ros-args", "-r", "image_raw:=unused"]
    node = CameraNode(namespace="/camera", parameter_overrides=overrides, cli_args=remap)
    with running(node):
        yield node


async def ask(link: aiohttp.ClientWebSocketResponse, **request: object) -> dict:
    """Send a request as the page does; returns the response or refusal."""
    await link.send_json(request)
    while True:
        message = await link.receive(timeout=120)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        if message.type is aiohttp.WSMsgType.TEXT:
            note = json.loads(message.data)
            if note["type"] in (request["type"], "refused"):
                return note


async def test_frames_are_saved_by_the_cameras_node(tmp_path: Path, viewer: ViewerProcess, camera: CameraNode) -> None:
    url = viewer.url

    def ready() -> bool:
        cameras = json.loads(fetch(f"{url}/api/status")).get("cameras")
        return bool(cameras) and cameras[0]["saving"]

    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as link:
        await asyncio.to_thread(wait_until, ready)
        answer = await ask(link, type="snapshot", camera=0)
        assert answer["ok"], answer
        assert Path(answer["text"]).parent == tmp_path / "saved"
        assert cv2.imread(answer["text"], cv2.IMREAD_COLOR).std() > 20
        assert (await ask(link, type="record", camera=0, value=True))["ok"]
        assert not (await ask(link, type="record", camera=0, value=True))["ok"], "it records already"
        again = await ask(link, type="record", camera=0, value="/etc/passwd")
        assert again["type"] == "refused"
        await asyncio.to_thread(wait_until, lambda: int(camera.report().values["recording"].split()[0]) > 5)
        ended = await ask(link, type="record", camera=0, value=False)
        assert ended["ok"], ended
        assert Path(ended["text"]).stat().st_size > 1000
        refused = await ask(link, type="snapshot", camera=1)
        assert refused["type"] == "refused"


async def test_a_camera_that_is_not_running_is_named(tmp_path: Path) -> None:
    with ViewerProcess(tmp_path, "port:=0", "camera_nodes:=['']") as viewer:
        url = await asyncio.to_thread(lambda: viewer.url)
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as link:
            answer = await ask(link, type="threshold", camera=0, value=0.5)
            assert (answer["ok"], answer["text"]) == (False, "node 'detector' is not running or cannot do this")
            assert (await ask(link, type="snapshot", camera=0))["type"] == "refused"


def test_the_token_is_printed_once_and_appears_nowhere_else(tmp_path: Path, peer: Peer) -> None:
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    logs = peer.collect(Log, "/rosout", 100)
    with ViewerProcess(tmp_path, "port:=0", "host:=0.0.0.0") as viewer:
        token = viewer.url.partition("?token=")[2]
        port = viewer.url.split(":")[2].partition("/")[0]
        assert len(token) >= 24
        wait_until(lambda: f"\ntoken {token}\n" in viewer.text(), what="the token")
        assert "without encryption" in wait_until(lambda: "encryption" in viewer.text() and viewer.text())
        with pytest.raises(urllib.error.HTTPError, match="401"):
            fetch(f"http://127.0.0.1:{port}/api/status")
        assert fetch(f"http://127.0.0.1:{port}/api/status?token={token}").startswith(b"{")
        wait_until(lambda: [one for array in arrays for one in array.status if one.values])
    assert viewer.text().count(token) == 2, "in the URL and separately"
    assert "█" in viewer.text(), "a QR code"
    assert token not in str(arrays) + str(logs)


def test_a_port_in_use_ends_the_node_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        viewer = ViewerProcess(tmp_path, f"port:={port}")
        assert viewer.process.wait(timeout=120) == 1
    text = viewer.text()
    assert f"parameter 'port' is {port}: is in use by another program" in text
    assert "Traceback" not in text


def test_invalid_parameters_never_start_the_node_partially(tmp_path: Path) -> None:
    viewer = ViewerProcess(tmp_path, "image_topics:=[]", "port:=0")
    assert viewer.process.wait(timeout=120) == 2
    assert "'image_topics'" in viewer.text()
    assert "Traceback" not in viewer.text()


def test_two_cameras_share_one_page(tmp_path: Path) -> None:
    topics = "image_topics:=[/left/image_raw,/right/image_raw]"
    results = "detections_topics:=[/left/detections,/right/detections]"
    with (
        ViewerScene("/left"),
        ViewerScene("/right", detect=False),
        ViewerProcess(tmp_path, "port:=0", topics, results) as viewer,
    ):
        sizes = [len(fetch(f"{viewer.url}/snapshot.jpg?camera={camera}")) for camera in (0, 1)]
        status = wait_until(lambda: json.loads(fetch(f"{viewer.url}/api/status")).get("cameras"))
    assert all(size > 1000 for size in sizes)
    assert [camera["name"] for camera in status] == ["left", "right"]
