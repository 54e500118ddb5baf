"""cameras.launch.xml as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgecam_core.events.index import EventIndex
from launched import START, Launched
from network import free_tcp_port
from sensor_msgs.msg import Image
from tiny_models import color_detector
from waiting import wait_until


def test_one_list_starts_cameras_detector_events_and_page(launch: Callable[..., Launched], tmp_path: Path) -> None:
    rules = '/**/events:\n  ros__parameters:\n    rules: ["no-dog: dog absent 1s"]\n    clip: none\n'
    (tmp_path / "rules.yaml").write_text(rules)
    folder = tmp_path / "events"
    running = launch(
        "cameras.launch.xml", "namespace:=/robot", f"model:={color_detector(tmp_path / 'color.onnx')}",
        "events:=true", f"events_directory:={folder}", f"params_file:={tmp_path}/rules.yaml",
        f"viewer_port:={free_tcp_port()}",
    )  # fmt: skip
    observer = running.observer
    cameras = "/robot/left/camera_driver", "/robot/right/camera_driver"
    observer.wait_for_nodes(*cameras, "/robot/detector", "/robot/events", "/robot/viewer")
    assert observer.parameter("/robot/viewer", "camera_nodes") == ["left/camera_driver", "right/camera_driver"]
    for side, width in (("left", 640), ("right", 320)):
        image = observer.first(Image, f"/robot/{side}/image_raw")
        assert (image.header.frame_id, image.width) == (f"{side}_optical_frame", width)
    index = EventIndex(folder)
    wait_until(lambda: {one.camera for one in index.find()} == {"left", "right"}, 2 * START, "an event of each camera")
    topics = {name for name, _ in observer.node.get_topic_names_and_types()}
    assert {"/robot/left/detections", "/robot/right/detections"} <= topics
    assert running.stop() == 0
    assert "process has died" not in running.text()
    assert "Traceback" not in running.text()
    assert not running.orphans()
