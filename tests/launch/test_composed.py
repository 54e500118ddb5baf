"""Several nodes in one process as a user starts them: animals are found, and no frame goes over DDS."""

from __future__ import annotations

from collections.abc import Callable

from launch_effects import parameters, processes
from launched import CLIP, UNTUNED, Launched
from network import free_udp_port
from vision_msgs.msg import Detection2DArray

COMPOSED = ("pipeline.launch.xml", "viewer:=false", f"source:=file://{CLIP}", "loop:=true", "framerate:=5.0", *UNTUNED)


def check_detections(running: Launched, count: int, *frames: str) -> None:
    """Detections of animals arrive from ``count`` processes, and the topics of frames have no subscriber."""
    array = running.observer.first(Detection2DArray, "/camera/detections", lambda one: one.detections)
    assert array.header.frame_id == "camera_optical_frame"
    assert array.detections[0].results[0].hypothesis.class_id
    for topic in frames:
        assert running.observer.node.count_subscribers(topic) == 0
    assert running.text().count("process started with pid") == count


def test_camera_and_detector_in_one_process(launch: Callable[..., Launched]) -> None:
    running = launch(*COMPOSED, "composition:=true")
    check_detections(running, 1, "/camera/image_raw")
    assert running.observer.parameter("/camera/detector", "precision") == "fp32"


def test_the_pipeline_starts_the_same_process_as_its_own_launch_file() -> None:
    given = {"source": "test://ball", "precision": "int8", "model": "/m.onnx"}
    whole = {"composition": "true", "viewer": "false", **given}
    (composed,), (within,) = processes("composed", **given), processes("pipeline", **whole)
    assert composed.name == within.name
    assert composed.environment == within.environment
    assert parameters("composed", **given) == parameters("pipeline", **whole)


def test_the_link_between_two_processes(launch: Callable[..., Launched]) -> None:
    running = launch(*COMPOSED, "composition_link:=true", f"port:={free_udp_port()}")
    check_detections(running, 2, "/camera/image_raw", "/camera/stream/image_raw")
