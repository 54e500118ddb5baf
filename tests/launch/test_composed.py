"""composed.launch.xml as a user runs it: animals are found, and no picture goes over DDS."""

from __future__ import annotations

from collections.abc import Callable

from launched import ROOT, Launched, ros2
from waiting import wait_until


def test_camera_and_detector_in_one_process(launch: Callable[..., Launched]) -> None:
    clip = f"file://{ROOT / 'media' / 'animals.mp4'}"
    running = launch("composed.launch.xml", f"source:={clip}", "loop:=true")
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list").split(), 60, "the detections topic")
    array = ros2(running.env, "topic", "echo", "/camera/detections", "--once")
    assert "camera_optical_frame" in array
    assert "class_id: " in array
    told = ros2(running.env, "topic", "info", "/camera/image_raw")
    assert "Subscription count: 0" in told
