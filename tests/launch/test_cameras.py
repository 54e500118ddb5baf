"""cameras.launch.xml as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgecam_core.events.index import EventIndex
from launched import Launched, ros2
from waiting import wait_until


def test_every_camera_of_the_example_list_delivers(launch: Callable[..., Launched]) -> None:
    running = launch("cameras.launch.xml", "namespace:=/robot")
    expected = {"/robot/left/image_raw", "/robot/right/image_raw"}
    wait_until(lambda: expected <= set(ros2(running.env, "topic", "list").split()), 120, "both cameras' topics")
    header = ros2(running.env, "topic", "echo", "/robot/right/image_raw", "--once", "--field", "header")
    assert "right_optical_frame" in header


def test_events_of_every_camera_are_kept(launch: Callable[..., Launched], tmp_path: Path) -> None:
    rules = '/**/events:\n  ros__parameters:\n    rules: ["no-dog: dog absent 1s"]\n    clip: none\n'
    (tmp_path / "rules.yaml").write_text(rules)
    folder = tmp_path / "events"
    running = launch(
        "cameras.launch.xml", "namespace:=/robot", "backend:=onnxruntime", "viewer:=false", "events:=true",
        f"events_directory:={folder}", f"params_file:={tmp_path}/rules.yaml",
    )  # fmt: skip
    index = EventIndex(folder)
    wait_until(lambda: {one.camera for one in index.find()} == {"left", "right"}, 240, "an event of each camera")
    assert running.stop() == 0
    assert "Traceback" not in running.text()
