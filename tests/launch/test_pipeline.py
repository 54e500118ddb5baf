"""pipeline.launch.xml as a user runs it: topics, stamps across the RTP link, the page, a clean shutdown."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import yaml
from edgecam_core.events.index import EventIndex
from edgecam_core.recording.reader import open_recording
from launched import CLIP, Launched, ros2
from network import free_tcp_port, free_udp_port
from rosbags.rosbag2 import Reader
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pipeline(launch: Callable[..., Launched]) -> Launched:
    running = launch(
        "pipeline.launch.xml",
        f"source:=file://{CLIP}",
        "loop:=true",
        f"port:={free_udp_port()}",
        f"viewer_port:={free_tcp_port()}",
        "backend:=onnxruntime",
    )
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list"), 120, "the detections topic")
    return running


@contextmanager
def listening(running: Launched, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A `ros2 topic` command that runs until it is interrupted, and its lines."""
    with subprocess.Popen(
        ["ros2", "topic", *arguments], env=running.env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.send_signal(signal.SIGINT)


def test_detections_are_readable_and_carry_the_stamp_of_their_image(pipeline: Launched) -> None:
    # The stamps of the camera's frames, received at the same time as the detector's results.
    with listening(pipeline, "echo", "/camera/camera_info", "--field", "header.stamp", "--csv") as (frames, lines):
        stamps: set[str] = set()
        reader = threading.Thread(target=lambda: stamps.update(line.strip() for line in lines), daemon=True)
        reader.start()
        wait_until(lambda: stamps, what="stamps of frames")
        # A subscriber on a busy machine may miss a frame: wait until three arrays have the stamp of a received frame.
        arrays: list[dict] = []
        wait_until(
            lambda: arrays.append(echo_once(pipeline)) or count_received(arrays, stamps) >= 3, 300, "stamps of frames"
        )
        frames.send_signal(signal.SIGINT)
        reader.join()
    found = [one for array in arrays for one in array["detections"]]
    assert found
    for array in arrays:
        header = array["header"]
        assert header["frame_id"] == "camera_optical_frame"
        for one in array["detections"]:
            assert one["header"] == header
            assert re.fullmatch(r"[a-z][a-z ]+", one["results"][0]["hypothesis"]["class_id"])
            assert 0.5 <= one["results"][0]["hypothesis"]["score"] <= 1.0
            assert 0 <= one["bbox"]["center"]["position"]["x"] <= 640


def count_received(arrays: list[dict], stamps: set[str]) -> int:
    """How many of the arrays carry the stamp of a frame."""
    own = (array["header"]["stamp"] for array in arrays)
    return sum(f"{stamp['sec']},{stamp['nanosec']}" in stamps for stamp in own)


def echo_once(pipeline: Launched) -> dict:
    text = ros2(pipeline.env, "topic", "echo", "/camera/detections", "--once", "--full-length")
    array: dict = next(yaml.safe_load_all(text))
    return array


def test_the_clips_rate_arrives_at_the_far_end(pipeline: Launched) -> None:
    echo_once(pipeline)
    with listening(pipeline, "hz", "/camera/detections", "--window", "75") as (_, hz):
        rate = wait_until(lambda: re.search(r"average rate: ([\d.]+)", hz.readline()), 120, "a rate")
    assert float(rate[1]) > 0
    with listening(pipeline, "echo", "/camera/detections", "--field", "header.stamp", "--csv") as (_, lines):
        reported = [lines.readline().split(",") for _ in range(50)]
    stamps = [int(seconds) * 10**9 + int(nanoseconds) for seconds, nanoseconds in reported]
    gaps = np.diff(stamps) / 40e6  # in frames of the clip
    assert np.abs(gaps - gaps.round()).max() < 0.05
    assert gaps.round().min() == 1


def test_page_parameters_and_a_clean_end(pipeline: Launched) -> None:
    echo_once(pipeline)
    port = pipeline.wait_for(r"http://127\.0\.0\.1:(\d+)")
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=120) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()
    assert "0.5" in ros2(pipeline.env, "param", "get", "/camera/detector", "confidence_threshold")
    assert "onnxruntime" in ros2(pipeline.env, "param", "get", "/camera/detector", "backend")
    ros2(pipeline.env, "param", "set", "/camera/detector", "confidence_threshold", "0.9")
    assert "active" in ros2(pipeline.env, "lifecycle", "get", "/camera/camera_driver")
    assert pipeline.stop() == 0
    assert pipeline.orphans() == []
    assert "Traceback" not in pipeline.text()
    assert pipeline.text().count("process has finished cleanly") == 5


def test_without_the_link_the_detector_subscribes_to_the_camera(launch: Callable[..., Launched]) -> None:
    running = launch("pipeline.launch.xml", f"source:=file://{CLIP}", "loop:=true", "rtp:=false", "viewer:=false")
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list"), 120, "the detections topic")
    array = echo_once(running)
    assert array["header"]["frame_id"] == "camera_optical_frame"
    nodes = ros2(running.env, "node", "list").split()
    assert sorted(nodes) == ["/camera/camera_driver", "/camera/detector"]
    assert running.stop() == 0


def test_a_recording_contains_what_the_pipeline_published(launch: Callable[..., Launched], tmp_path: Path) -> None:
    arguments = ("rtp:=false", "viewer:=false", "record:=true", f"record_directory:={tmp_path}/recordings")
    running = launch("pipeline.launch.xml", f"source:=file://{CLIP}", "loop:=true", *arguments)
    running.wait_for(r"recording to (\S+)")
    wait_until(lambda: "/camera/recorder" in ros2(running.env, "node", "list"), 120, "the recorder")
    (folder,) = wait_until(lambda: list((tmp_path / "recordings").iterdir()), 120, "the recording")

    def stored() -> set[str]:
        recording = open_recording(folder)
        try:
            return {message.topic.name for message in recording.messages()}
        finally:
            recording.close()

    expected = {"/camera/image_raw/compressed", "/camera/detections", "/camera/camera_info", "/camera/label_info"}
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
    received = tmp_path / "received.txt"
    with received.open("w") as output:
        receiver = subprocess.Popen([sys.executable, ROOT / "examples" / "webhook.py", str(hook_port)], stdout=output)
    running = launch(
        "pipeline.launch.xml",
        f"source:=file://{CLIP}",
        "loop:=true",
        "rtp:=false",
        "backend:=onnxruntime",
        "events:=true",
        f"events_directory:={folder}",
        f"params_file:={tmp_path}/dog.yaml",
        f"viewer_port:={port}",
    )
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
    wait_until(lambda: set(expected) <= set(received.read_text().splitlines()), what="the webhooks of the event")
    receiver.terminate()
    receiver.wait(60)
    assert running.stop() == 0
    assert "Traceback" not in running.text()


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("camera.launch.xml", ["source:=ftp://nowhere"], r"parameter 'source' is 'ftp://nowhere': .*file"),
        ("camera.launch.xml", ["source:=file:///no/such.mp4"], r"parameter 'source' is 'file:///no/such.mp4': "),
        ("detector.launch.xml", ["model:=/no/such.onnx"], r"parameter 'model'.*/no/such.onnx"),
        ("rtp_receiver.launch.xml", ["port:=99999"], r"parameter 'port' is 99999: must be"),
    ],
)
def test_a_bad_argument_gives_one_clear_line_repeated_at_the_end(
    launch: Callable[..., Launched], file: str, arguments: list[str], message: str
) -> None:
    running = launch(file, *arguments)
    running.process.wait(120)
    first, last = [line for line in running.text().splitlines() if re.search(message, line)]
    assert "error: parameter " in first
    assert "[launch]: the launch has ended because " in last
    assert "Traceback" not in running.text()
    assert "process has died" in running.text()
