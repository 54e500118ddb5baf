"""pipeline.launch.xml without the RTP link, with the recorder and with events."""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from edgecam_core.events.index import EventIndex
from edgecam_core.recording.reader import open_recording
from launched import CLIP, ROOT, UNTUNED, Launched
from network import free_tcp_port
from rosbags.rosbag2 import Reader
from tiny_models import color_detector
from vision_msgs.msg import Detection2DArray
from waiting import wait_until

WITHOUT_LINK = ("pipeline.launch.xml", "rtp:=false", f"source:=file://{CLIP}", "loop:=true", "framerate:=5.0")
DETECTIONS = "/camera/detections"


def test_a_recording_without_the_link_contains_what_the_pipeline_published(
    launch: Callable[..., Launched], tmp_path: Path
) -> None:
    model = color_detector(tmp_path / "color.onnx")
    folders = "record:=true", f"record_directory:={tmp_path}/recordings", f"model:={model}"
    running = launch(*WITHOUT_LINK, "viewer:=false", *folders)
    running.wait_for(r"recording to (\S+)")
    array = running.observer.first(Detection2DArray, DETECTIONS)  # the detector subscribes to the camera
    assert array.header.frame_id == "camera_optical_frame"
    nodes = "/camera/camera_driver", "/camera/detector", "/camera/recorder"
    running.observer.wait_for_nodes(*nodes)
    assert running.observer.nodes() == set(nodes)
    assert running.text().count("process started with pid") == len(nodes)
    (folder,) = wait_until(lambda: list((tmp_path / "recordings").iterdir()), 120, "the recording")

    def stored() -> set[str]:
        recording = open_recording(folder)
        try:
            return {message.topic.name for message in recording.messages()}
        finally:
            recording.close()

    expected = {"/camera/image_raw/compressed", DETECTIONS, "/camera/camera_info", "/camera/label_info"}
    wait_until(lambda: expected <= stored(), 120, "messages of every topic")
    assert running.stop() == 0
    with Reader(folder) as reader:
        times = {one.topic: [] for one in reader.connections}
        for connection, at, _ in reader.messages():
            times[connection.topic].append(at)
        assert reader.message_count == sum(map(len, times.values()))
    assert expected <= set(times)
    assert "Traceback" not in running.text()


def test_the_events_of_the_pipeline_are_on_the_page(launch: Callable[..., Launched], tmp_path: Path) -> None:
    """As in the tutorial 'Tell me when a dog is on the sofa', with its parameter file."""
    page = (ROOT / "docs" / "tutorials" / "dog-on-the-sofa.md").read_text()
    parameters, webhook = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    port, folder, hook_port = free_tcp_port(), tmp_path / "events", free_tcp_port()
    (tmp_path / "dog.yaml").write_text(parameters + webhook.replace(":8000", f":{hook_port}"))
    receiver = launch(str(hook_port), command=(sys.executable, str(ROOT / "examples" / "webhook.py")))
    running = launch(
        *WITHOUT_LINK, *UNTUNED, "events:=true",
        f"events_directory:={folder}", f"params_file:={tmp_path}/dog.yaml", f"viewer_port:={port}",
    )  # fmt: skip
    index = EventIndex(folder)

    def complete() -> str:
        return next((one.id for one in index.find(rule="dog-on-sofa") if one.snapshot and one.clip), "")

    event = wait_until(complete, 240, "an event with snapshot and clip")
    row = index.event(event)
    assert row is not None
    assert (row.kind, row.label, row.zone) == ("stays", "dog", "sofa")
    assert row.end_ns is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/events", timeout=60) as answer:
        assert answer.status == 200
    expected = [f"{state}: dog, rule dog-on-sofa, {event}" for state in ("begin", "end")]
    wait_until(lambda: set(expected) <= set(receiver.text().splitlines()), what="the webhooks of the event")
    assert running.stop() == 0
    assert "Traceback" not in running.text()
