"""Hostile messages of other nodes: the viewer and the monitor refuse and count them, and continue."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from edgecam_ros.detections import detections_from_ros
from edgecam_ros.qos import image_qos
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from ros_peer import Peer
from sensor_msgs.msg import Image
from viewer_process import ViewerProcess, fetch
from viewer_scene import ViewerScene
from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose
from waiting import eventually, wait_until

TEXTS = ("", "9" * 5000, "cat", "\x1b[2J\x07", "x" * 200_000, "‮", "<img src=x onerror=alert(1)>", "nan", "1e999", "٣")
NUMBERS = (0.0, -1.0, 0.5, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 5e-324)
SIZES = (0, 1, 2, 3, 640, 65535, 2**31, 2**32 - 1)
SECONDS = (0, 1, -1, 2**31 - 1, -(2**31), 1_700_000_000)
ENCODINGS = ("bgr8", "rgb8", "mono8", "mono16", "nv12", "yuv422_yuy2", "8UC3", "32FC1", "bayer_rggb8", "", "<b>")


def hypothesis_of(chance: random.Random) -> ObjectHypothesisWithPose:
    known = ObjectHypothesis(class_id=chance.choice(TEXTS), score=chance.choice(NUMBERS))
    return ObjectHypothesisWithPose(hypothesis=known)


def detections(chance: random.Random) -> Detection2DArray:
    message = Detection2DArray()
    message.header.stamp.sec = chance.choice(SECONDS)
    message.header.stamp.nanosec = chance.choice((0, 2**32 - 1))
    for _ in range(chance.choice((0, 1, 5))):
        one = Detection2D(id=chance.choice(TEXTS), results=[hypothesis_of(chance)] * chance.choice((0, 1, 3)))
        one.bbox = BoundingBox2D(size_x=chance.choice(NUMBERS), size_y=chance.choice(NUMBERS))
        one.bbox.center.position.x = chance.choice(NUMBERS)
        message.detections.append(one)
    return message


def diagnostics(chance: random.Random) -> DiagnosticArray:
    keys = ("fps", "drops", "bad", "missing", "recording", "pid", "host", "url", "cpu_percent", chance.choice(TEXTS))
    names = ("camera/camera_driver", "camera/rtp_sender", "camera/detector", "camera/viewer", chance.choice(TEXTS))
    values = [KeyValue(key=key, value=chance.choice(TEXTS)) for key in keys]
    status = DiagnosticStatus(
        level=bytes([chance.choice((0, 1, 2, 3, 7, 255))]),
        name=chance.choice(names),
        message=chance.choice(TEXTS),
        hardware_id=chance.choice(TEXTS),
        values=values,
    )
    return DiagnosticArray(status=[status] * chance.choice((0, 1, 3)))


def image(chance: random.Random) -> Image:
    message = Image(
        width=chance.choice(SIZES),
        height=chance.choice(SIZES),
        encoding=chance.choice(ENCODINGS),
        step=chance.choice(SIZES),
        is_bigendian=chance.choice((0, 1, 255)),
        data=bytes(chance.choice((0, 1, 16, 100_000))),
    )
    message.header.stamp.sec = chance.choice(SECONDS)
    return message


def good_but_odd_images() -> Iterator[Image]:
    """Valid images of sizes that encoders and JPEG do not accept, with times before the epoch."""
    for width, height in ((1, 1), (65536, 16), (16, 65536), (70000, 1), (3, 5)):
        pixels = np.zeros((height, width, 3), np.uint8)
        message = Image(width=width, height=height, encoding="bgr8", step=width * 3)
        message.data.frombytes(pixels.tobytes())
        message.header.stamp.sec = -5
        yield message


def test_a_class_id_of_5000_digits_is_not_a_number() -> None:
    for text, number in (("7", 7), ("9" * 5000, -1), ("99999999999", -1), ("2147483648", -1), ("٣", -1), ("-1", -1)):
        known = ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=text))
        (one,) = detections_from_ros(Detection2DArray(detections=[Detection2D(results=[known])]))
        assert one.class_id == number


def throw(peer: Peer, chance: random.Random, count: int = 60) -> None:
    """Publish hostile messages on every topic of the viewer and the monitor."""
    publishers = [
        (peer.node.create_publisher(Detection2DArray, "/camera/detections", 10), detections),
        (peer.node.create_publisher(DiagnosticArray, "/diagnostics", 10), diagnostics),
        (peer.node.create_publisher(Image, "/camera/image_raw", image_qos()), image),
    ]
    for publisher, _ in publishers[:2]:
        wait_until(lambda publisher=publisher: publisher.get_subscription_count() > 0)
    wait_until(lambda: publishers[2][0].get_subscription_count() > 0 or count < 60)
    for _ in range(count):
        for publisher, make in publishers:
            publisher.publish(make(chance))
    for message in good_but_odd_images():
        publishers[2][0].publish(message)


def strict_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return json.loads(answer.read(), parse_constant=pytest.fail)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_ends_the_viewer(tmp_path: Path, peer: Peer, seed: int) -> None:
    chance = random.Random(seed)
    with ViewerProcess(tmp_path, "port:=0") as viewer:
        url = viewer.url
        with urllib.request.urlopen(f"{url}/stream.mjpg", timeout=120):
            throw(peer, chance)
            with ViewerScene("/camera"):

                def whole() -> bool:
                    status = strict_json(f"{url}/api/status")
                    cameras = status.get("cameras", [])
                    assert len(json.dumps(status)) < 3_000_000
                    return bool(cameras) and "giraffe" in cameras[0]["labels"]

                wait_until(whole, what="the next good detections")
            with urllib.request.urlopen(f"{url}/api/status", timeout=120) as answer:
                assert answer.status == 200
        assert viewer.process.poll() is None
    assert viewer.process.returncode == 0
    assert "Traceback" not in viewer.text()
    assert "\x1b[2J" not in viewer.text(), "a terminal must not be controlled by other nodes"


def test_nonsensical_messages_do_not_stop_it(tmp_path: Path, peer: Peer) -> None:
    images = peer.node.create_publisher(Image, "/camera/image_raw", image_qos())
    results = peer.node.create_publisher(Detection2DArray, "/camera/detections", 10)
    nan = float("nan")
    odd = Detection2DArray(detections=[Detection2D(), Detection2D(bbox=BoundingBox2D(size_x=nan, size_y=nan))])
    with ViewerScene("/camera"), ViewerProcess(tmp_path, "port:=0", "max_fps:=4.0") as viewer:
        with urllib.request.urlopen(f"{viewer.url}/stream.mjpg", timeout=120):

            def reported() -> bool:
                images.publish(Image(width=640, height=480, encoding="bgr8", step=1920))  # and no data
                images.publish(Image(width=4, height=4, encoding="<script>", step=4, data=bytes(16)))
                results.publish(odd)
                return "needs 921600 bytes, got 0" in viewer.text() and "<script>" in viewer.text()

            wait_until(reported, 120)
            assert len(fetch(f"{viewer.url}/snapshot.jpg")) > 1000

            def labels() -> list[str]:
                status = json.loads(fetch(f"{viewer.url}/api/status"), parse_constant=pytest.fail)
                return [label for camera in status.get("cameras", []) for label in camera["labels"]]

            wait_until(lambda: "giraffe" in labels())
        assert "Traceback" not in viewer.text()


def test_no_message_ends_the_monitor(peer: Peer) -> None:
    run = "import sys; from edgecam_viewer.monitor_node import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "--ros-args", "-r", "__ns:=/camera"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        throw(peer, random.Random(3), count=50)
        assert process.stdout is not None
        lines = []
        with ViewerScene("/camera"):
            while "giraffe 0.97" not in (line := process.stdout.readline()):
                assert process.poll() is None, lines
                lines.append(line)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    text = "".join(lines) + rest
    assert "Traceback" not in text
    assert "\x1b" not in text
    assert "summary: " in rest


async def test_a_detector_that_never_responds_or_responds_with_nonsense_is_reported(tmp_path: Path, peer: Peer) -> None:
    answers: list[Any] = []

    def get(_request: GetParameters.Request, response: GetParameters.Response) -> GetParameters.Response:
        response.values = answers
        return response

    def set_nothing(_request: SetParameters.Request, response: SetParameters.Response) -> SetParameters.Response:
        return response  # no result at all

    peer.node.create_service(GetParameters, "/camera/detector/get_parameters", get)
    peer.node.create_service(SetParameters, "/camera/detector/set_parameters", set_nothing)
    with ViewerProcess(tmp_path, "port:=0") as viewer:
        url = await asyncio.to_thread(lambda: viewer.url)

        async def camera() -> dict[str, Any]:
            cameras = (await asyncio.to_thread(strict_json, f"{url}/api/status")).get("cameras", [])
            return cameras[0] if cameras else {"threshold_problem": "", "threshold": ""}

        async def wait_for(problem: str, threshold: float | None) -> None:
            def good(one: dict[str, Any]) -> bool:
                return problem in one["threshold_problem"] and one["threshold"] == threshold

            await eventually(camera, good, what=f"the threshold {threshold}")

        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as link:
            await wait_for("has no parameter", None)
            answers[:] = [ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float("nan"))]
            await wait_for("has no parameter", None)
            answers[:] = [ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.25)]
            await wait_for("", 0.25)
            await link.send_json({"type": "threshold", "camera": 0, "value": 0.5})
            async for message in link:
                if message.type is aiohttp.WSMsgType.TEXT and json.loads(message.data)["type"] == "threshold":
                    assert not json.loads(message.data)["ok"]
                    break
    assert "Traceback" not in viewer.text()
