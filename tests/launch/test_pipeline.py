"""pipeline.launch.xml as a user runs it: topics, stamps across the RTP link, the page, a clean end."""

from __future__ import annotations

import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import pytest
import yaml
from launched import CLIP, Launched, ros2
from network import free_tcp_port, free_udp_port
from waiting import wait_until


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
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list"), 60, "the detections topic")
    return running


@contextmanager
def listening(running: Launched, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A `ros2 topic` command that goes on until it is interrupted, and its lines."""
    with subprocess.Popen(
        ["ros2", "topic", *arguments], env=running.env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.send_signal(signal.SIGINT)


def test_detections_are_readable_and_carry_the_stamp_of_their_image(pipeline: Launched) -> None:
    # The stamps of the frames at the camera, while the detector's results are listened to.
    with listening(pipeline, "echo", "/camera/camera_info", "--field", "header.stamp", "--csv") as (frames, lines):
        first = lines.readline()
        arrays = [echo_once(pipeline) for _ in range(3)]
        frames.send_signal(signal.SIGINT)
        stamps = {first.strip(), *frames.communicate(timeout=20)[0].split()}
    assert len(stamps) > 20
    found = [one for array in arrays for one in array["detections"]]
    assert found
    for array in arrays:
        header = array["header"]
        assert f"{header['stamp']['sec']},{header['stamp']['nanosec']}" in stamps
        assert header["frame_id"] == "camera_optical_frame"
        for one in array["detections"]:
            assert one["header"] == header
            assert re.fullmatch(r"[a-z][a-z ]+", one["results"][0]["hypothesis"]["class_id"])
            assert 0.5 <= one["results"][0]["hypothesis"]["score"] <= 1.0
            assert 0 <= one["bbox"]["center"]["position"]["x"] <= 640


def echo_once(pipeline: Launched) -> dict:
    text = ros2(pipeline.env, "topic", "echo", "/camera/detections", "--once", "--full-length")
    array: dict = next(yaml.safe_load_all(text))
    return array


def test_the_clips_rate_arrives_at_the_far_end(pipeline: Launched) -> None:
    echo_once(pipeline)
    with listening(pipeline, "hz", "/camera/detections", "--window", "75") as (_, hz):
        rate = wait_until(lambda: re.search(r"average rate: ([\d.]+)", hz.readline()), 60, "a rate")
    assert 0 < float(rate[1]) < 30  # how far below the clip's 25 Hz says how busy the machine is
    with listening(pipeline, "echo", "/camera/detections", "--field", "header.stamp", "--csv") as (_, lines):
        told = [lines.readline().split(",") for _ in range(50)]
    stamps = [int(seconds) * 10**9 + int(nanoseconds) for seconds, nanoseconds in told]
    gaps = np.diff(stamps) / 40e6  # in frames of the clip
    assert np.abs(gaps - gaps.round()).max() < 0.05
    assert gaps.round().min() == 1


def test_page_parameters_and_a_clean_end(pipeline: Launched) -> None:
    echo_once(pipeline)
    port = re.search(r"http://127\.0\.0\.1:(\d+)", pipeline.text())
    assert port, pipeline.text()
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=10) as answer:
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


def test_without_the_link_the_detector_looks_at_the_camera(launch: Callable[..., Launched]) -> None:
    running = launch("pipeline.launch.xml", f"source:=file://{CLIP}", "loop:=true", "rtp:=false", "viewer:=false")
    wait_until(lambda: "/camera/detections" in ros2(running.env, "topic", "list"), 60, "the detections topic")
    array = echo_once(running)
    assert array["header"]["frame_id"] == "camera_optical_frame"
    nodes = ros2(running.env, "node", "list").split()
    assert sorted(nodes) == ["/camera/camera_driver", "/camera/detector"]
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("camera.launch.xml", ["source:=ftp://nowhere"], r"parameter 'source' is 'ftp://nowhere': .*file"),
        ("camera.launch.xml", ["source:=file:///no/such.mp4"], r"parameter 'source' is 'file:///no/such.mp4': "),
        ("detector.launch.xml", ["model:=/no/such.onnx"], r"parameter 'model'.*/no/such.onnx"),
        ("rtp_receiver.launch.xml", ["port:=99999"], r"parameter 'port' is 99999: must be"),
    ],
)
def test_bad_arguments_are_one_clear_line(
    launch: Callable[..., Launched], file: str, arguments: list[str], message: str
) -> None:
    running = launch(file, *arguments)
    running.process.wait(40)
    lines = [line for line in running.text().splitlines() if re.search(message, line)]
    assert len(lines) == 1, running.text()
    assert "Traceback" not in running.text()
    assert "process has died" in running.text()
