"""cameras.launch.xml as a user runs it."""

from __future__ import annotations

from collections.abc import Callable

from launched import Launched, ros2
from waiting import wait_until


def test_every_camera_of_the_example_list_delivers(launch: Callable[..., Launched]) -> None:
    running = launch("cameras.launch.xml", "namespace:=/robot")
    wanted = {"/robot/left/image_raw", "/robot/right/image_raw"}
    wait_until(lambda: wanted <= set(ros2(running.env, "topic", "list").split()), 120, "both cameras' topics")
    header = ros2(running.env, "topic", "echo", "/robot/right/image_raw", "--once", "--field", "header")
    assert "right_optical_frame" in header
