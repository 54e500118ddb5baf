"""pipeline.launch.xml as a user runs it: topics, stamps across the RTP link, the page, a clean shutdown."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import yaml
from launched import CLIP, UNTUNED, Launched, ros2
from network import free_tcp_port, free_udp_port
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import Detection2DArray
from waiting import wait_until

DETECTIONS = "/camera/detections"


@pytest.fixture(scope="module")
def pipeline(module_launch: Callable[..., Launched]) -> Iterator[Launched]:
    """The complete pipeline, at a low rate; its end must be clean."""
    arguments = f"source:=file://{CLIP}", "loop:=true", "framerate:=5.0", *UNTUNED
    ports = f"port:={free_udp_port()}", f"viewer_port:={free_tcp_port()}"
    running = module_launch("pipeline.launch.xml", *arguments, *ports)
    running.observer.first(Detection2DArray, DETECTIONS)
    yield running
    assert running.stop() == 0
    assert running.orphans() == []
    assert "Traceback" not in running.text()
    assert running.text().count("process has finished cleanly") == 5


def stamp_of(message: CameraInfo | Detection2DArray) -> int:
    """In nanoseconds."""
    stamp = message.header.stamp
    return int(stamp.sec * 10**9 + stamp.nanosec)


def test_detections_are_readable_and_carry_the_stamp_of_their_image(pipeline: Launched) -> None:
    infos = pipeline.observer.collect(CameraInfo, "/camera/camera_info")
    received = pipeline.observer.collect(Detection2DArray, DETECTIONS)

    def matching() -> list[Detection2DArray]:
        stamps = {stamp_of(one) for one in infos[:]}
        return [one for one in received[:] if one.detections and stamp_of(one) in stamps]

    # A subscriber on a busy machine may miss a frame: wait until three arrays have the stamp of a received frame.
    arrays = wait_until(lambda: len(found := matching()) >= 3 and found, 300, "detections with stamps of frames")
    for array in arrays:
        assert array.header.frame_id == "camera_optical_frame"
        for one in array.detections:
            assert one.header == array.header
            assert re.fullmatch(r"[a-z][a-z ]+", one.results[0].hypothesis.class_id)
            assert 0.5 <= one.results[0].hypothesis.score <= 1.0
            assert 0 <= one.bbox.center.position.x <= 640


def test_topic_echo_prints_an_array_as_yaml(pipeline: Launched) -> None:
    text = ros2(pipeline.env, "topic", "echo", DETECTIONS, "--once", "--full-length")
    array: dict = next(yaml.safe_load_all(text))
    assert array["header"]["frame_id"] == "camera_optical_frame"
    assert all(one["results"][0]["hypothesis"]["class_id"] for one in array["detections"])


def test_the_clips_rate_arrives_at_the_far_end(pipeline: Launched) -> None:
    received = pipeline.observer.collect(Detection2DArray, DETECTIONS)

    def gaps() -> np.ndarray:  # in frames of the clip
        return np.diff([stamp_of(one) for one in received[:]]) / 40e6

    pipeline.observer.set("/camera/camera_driver", "framerate", 0.0)
    try:  # the detector skips frames on a busy machine: wait until two in succession are among fifty
        wait_until(lambda: len(received) >= 50 and gaps().round().min() == 1, 300, "two successive frames")
    finally:
        pipeline.observer.set("/camera/camera_driver", "framerate", 5.0)
    assert np.abs(gaps() - gaps().round()).max() < 0.05


def test_the_page_and_the_parameters(pipeline: Launched) -> None:
    port = pipeline.wait_for(r"http://127\.0\.0\.1:(\d+)")
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=120) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()
    observer, detector = pipeline.observer, "/camera/detector"
    assert observer.parameter(detector, "backend") == "onnxruntime"
    assert observer.parameter(detector, "confidence_threshold") == 0.5
    ros2(pipeline.env, "param", "set", detector, "confidence_threshold", "0.6")  # the other tests allow any above 0.5
    assert observer.parameter(detector, "confidence_threshold") == 0.6
    assert observer.state("/camera/camera_driver") == "active"
