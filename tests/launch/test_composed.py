"""Camera and detector in one process as a user starts them: animals are found, and no frame goes over DDS."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from launched import CLIP, Launched, ros2
from network import free_udp_port
from waiting import wait_until


@pytest.mark.parametrize(
    "arguments", [["composed.launch.xml"], ["pipeline.launch.xml", "composition:=true", "viewer:=false"]]
)
def test_camera_and_detector_in_one_process(launch: Callable[..., Launched], arguments: list[str]) -> None:
    running = launch(*arguments, f"source:=file://{CLIP}", "loop:=true", "precision:=fp32")
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list").split(), 120, "the detections topic")
    array = ros2(running.env, "topic", "echo", "/camera/detections", "--once")
    assert "camera_optical_frame" in array
    assert "class_id: " in array
    assert "fp32" in ros2(running.env, "param", "get", "/camera/detector", "precision")
    reported = ros2(running.env, "topic", "info", "/camera/image_raw")
    assert "Subscription count: 0" in reported
    assert running.text().count("process started with pid") == 1


def test_the_link_between_two_processes(launch: Callable[..., Launched]) -> None:
    running = launch(
        "pipeline.launch.xml", "composition_link:=true", "viewer:=false", f"source:=file://{CLIP}", "loop:=true",
        f"port:={free_udp_port()}",
    )  # fmt: skip
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list").split(), 120, "the detections topic")
    array = ros2(running.env, "topic", "echo", "/camera/detections", "--once")
    assert "camera_optical_frame" in array
    assert "class_id: " in array
    for topic in ("/camera/image_raw", "/camera/stream/image_raw"):
        assert "Subscription count: 0" in ros2(running.env, "topic", "info", topic)
    assert running.text().count("process started with pid") == 2
