"""The viewer node in the graph: subscriptions, diagnostics, parameters, refusals."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_peer import Peer
from viewer_process import ViewerProcess
from viewer_scene import SQUARE_BGR, Scene, square
from waiting import wait_until


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def test_pictures_are_subscribed_only_while_somebody_watches(tmp_path: Path) -> None:
    with Scene("/camera", fps=15) as scene, ViewerProcess(tmp_path, "port:=0") as viewer:
        url = viewer.url
        wait_until(lambda: scene.node.count_subscribers("/camera/detections") == 1)
        assert scene.node.count_subscribers("/camera/image_raw") == 0
        pixels = cv2.imdecode(np.frombuffer(fetch(f"{url}/snapshot.jpg"), np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (480, 640, 3)
        near = np.abs(pixels.astype(int) - SQUARE_BGR).max(axis=2) < 30
        x1, _, x2, _ = square(0)
        assert near.sum() > 0.9 * (x2 - x1) ** 2, "the picture is the scene's"
        assert scene.node.count_subscribers("/camera/image_raw") == 1
        wait_until(lambda: scene.node.count_subscribers("/camera/image_raw") == 0, 20)


def test_the_state_names_rates_labels_and_nodes(tmp_path: Path) -> None:
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        url = viewer.url

        def state() -> dict | None:
            status = json.loads(fetch(f"{url}/api/status"))
            complete = status.get("nodes") and status["cameras"][0]["labels"]
            return status if complete else None

        status = wait_until(state)
        camera = status["cameras"][0]
        assert camera["name"] == "camera"
        assert camera["labels"] == ["giraffe", "zebra"]
        assert camera["detection_fps"] > 5
        assert 0 <= camera["latency_ms"] < 5000
        assert [node["name"] for node in status["nodes"]] == ["camera/viewer"]


def test_diagnostics_count_viewers(tmp_path: Path, peer: Peer) -> None:
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        with urllib.request.urlopen(f"{viewer.url}/stream.mjpg", timeout=30) as stream:

            def values() -> dict | None:
                stream.read(20_000)
                newest = [status for array in arrays for status in array.status if status.name == "camera/viewer"]
                found = {pair.key: pair.value for pair in newest[-1].values} if newest else {}
                return found if found.get("viewers") == "1" and float(found["fps"]) > 5 else None

            found = wait_until(values, 30)
        assert float(found["encode_ms"]) > 0
        assert found["url"] == viewer.url


def test_quality_can_be_set_while_running_and_the_port_cannot(tmp_path: Path, peer: Peer) -> None:
    with Scene("/camera", fps=15), ViewerProcess(tmp_path, "port:=0") as viewer:
        before = len(fetch(f"{viewer.url}/snapshot.jpg"))

        def set_parameter(name: str, value: int) -> object:
            wanted = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
            request = SetParameters.Request(parameters=[Parameter(name=name, value=wanted)])
            return peer.call(SetParameters, "/camera/viewer/set_parameters", request).results[0]

        assert set_parameter("jpeg_quality", 10).successful
        wait_until(lambda: len(fetch(f"{viewer.url}/snapshot.jpg")) < 0.8 * before)
        assert not set_parameter("port", 9090).successful
        refused = set_parameter("jpeg_quality", 101)
        assert not refused.successful
        assert "1 to 100" in refused.reason


def test_the_viewer_stands_back_for_the_pipeline(tmp_path: Path) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with ViewerProcess(tmp_path, "port:=0", "niceness:=15") as viewer:
        assert viewer.url
        assert os.getpriority(os.PRIO_PROCESS, viewer.process.pid) == max(15, own)


def test_ten_viewers_get_the_same_encoding(tmp_path: Path, peer: Peer) -> None:
    arrays = peer.collect(DiagnosticArray, "/diagnostics")
    with Scene("/camera", fps=10), ViewerProcess(tmp_path, "port:=0") as viewer, contextlib.ExitStack() as stack:
        url = viewer.url
        streams = [stack.enter_context(urllib.request.urlopen(f"{url}/stream.mjpg", timeout=30)) for _ in range(10)]

        def values() -> dict[str, str] | None:
            for stream in streams:
                stream.read(10_000)
            newest = [status for array in arrays for status in array.status if status.name == "camera/viewer"]
            found = {pair.key: pair.value for pair in newest[-1].values} if newest else {}
            sent = float(found.get("pictures_sent_per_s", 0))
            return found if found.get("viewers") == "10" and sent > 30 else None

        found = wait_until(values, 60)
    # Ten are served, one is encoded: the camera's rate bounds the encoder's.
    assert float(found["fps"]) < 13
    assert float(found["pictures_sent_per_s"]) > 2 * float(found["fps"])


def test_a_port_in_use_ends_the_node_with_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        viewer = ViewerProcess(tmp_path, f"port:={port}")
        assert viewer.process.wait(timeout=30) == 1
    text = viewer.text()
    assert f"parameter 'port' is {port}: is in use by another program" in text
    assert "Traceback" not in text


def test_garbage_parameters_never_start_half_way(tmp_path: Path) -> None:
    viewer = ViewerProcess(tmp_path, "image_topics:=[]", "port:=0")
    assert viewer.process.wait(timeout=30) == 2
    assert "'image_topics'" in viewer.text()
    assert "Traceback" not in viewer.text()


def test_two_cameras_share_one_page(tmp_path: Path) -> None:
    topics = "image_topics:=[/left/image_raw,/right/image_raw]"
    results = "detections_topics:=[/left/detections,/right/detections]"
    with (
        Scene("/left", fps=10),
        Scene("/right", fps=10, detect=False),
        ViewerProcess(tmp_path, "port:=0", topics, results) as viewer,
    ):
        sizes = [len(fetch(f"{viewer.url}/snapshot.jpg?camera={camera}")) for camera in (0, 1)]
        status = wait_until(lambda: json.loads(fetch(f"{viewer.url}/api/status")).get("cameras"))
    assert all(size > 1000 for size in sizes)
    assert [camera["name"] for camera in status] == ["left", "right"]
