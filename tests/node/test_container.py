"""Camera and detector in one process: frames are passed without DDS; nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import forked
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_core.types import Frame
from edgecam_ros.local_topics import LocalTopics
from ros_peer import Peer
from tiny_models import color_detector
from vision_msgs.msg import Detection2DArray
from waiting import DISCOVERY, wait_until

NODES = ("edgecam_camera.node:CameraNode", "edgecam_detector.node:DetectorNode")


def test_frames_are_passed_unchanged() -> None:
    topics = LocalTopics()
    frame = Frame.from_array(np.zeros((4, 4, 3), np.uint8), "bgr8")
    taken: list[Frame] = []
    assert not topics.has_subscribers("/a")
    topics.subscribe("/a", taken.append)
    topics.publish("/a", frame)
    topics.publish("/b", frame)
    assert len(taken) == 1
    assert taken[0] is frame
    topics.unsubscribe("/a", taken.append)
    assert not topics.has_subscribers("/a")


def test_a_topic_is_announced_until_its_last_publisher_is_gone() -> None:
    topics = LocalTopics()
    topics.announce("/a")
    topics.announce("/a")
    topics.withdraw("/a")
    assert topics.is_announced("/a")
    topics.withdraw("/a")
    assert not topics.is_announced("/a")


def test_detections_without_a_frame_on_dds(peer: Peer, tmp_path: Path) -> None:
    model = color_detector(tmp_path / "m.onnx")
    command = [sys.executable, "-m", "edgecam_ros.container", *NODES, "--ros-args", "-r", "__ns:=/camera"]
    # Without a node's name they apply to both, like a parameter file for all nodes.
    command += ["-p", "source:=test://smpte", "-p", f"detector:model:={model}", "-p", "threads:=1"]
    command += ["-p", "detector:backend:=onnxruntime"]
    arrays = peer.collect(Detection2DArray, "/camera/detections")
    statuses = peer.collect(DiagnosticArray, "/diagnostics")
    process = forked.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(arrays) > 5, 4 * DISCOVERY, "detections")
        # A node that an earlier test killed stays in the graph for 20 s.
        wait_until(lambda: peer.node.count_publishers("/camera/image_raw") == 1, what="the camera alone")
        assert peer.node.count_subscribers("/camera/image_raw") == 0
        names = wait_until(
            lambda: {"camera/camera_driver", "camera/detector"} <= {s.name for a in statuses for s in a.status},
            what="both nodes' diagnostics",
        )
        assert names
    finally:
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert arrays[0].header.frame_id == "camera_optical_frame"
    stamps = [array.header.stamp.sec * 10**9 + array.header.stamp.nanosec for array in arrays]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "is missing"),
        (["nowhere.node:CameraNode"], "cannot be found"),
        (["edgecam_camera.node:Nothing"], "cannot be found"),
        (["edgecam_core.types:Frame"], "is not an edgecam node"),
    ],
)
def test_anything_but_a_node_is_refused(nodes: list[str], message: str) -> None:
    command = [sys.executable, "-m", "edgecam_ros.container", *nodes]
    ended = forked.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert ended.returncode == 2
    assert message in ended.stderr.strip().splitlines()[-1]


def test_an_unknown_parameter_is_refused() -> None:
    command = [sys.executable, "-m", "edgecam_ros.container", *NODES, "--ros-args", "-p", "sorce:=test://smpte"]
    ended = forked.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "did you mean source" in ended.stderr.strip().splitlines()[-1]


def test_one_node_that_fails_ends_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgecam_ros.container", *NODES, "--ros-args"]
    command += ["-p", "camera_driver:source:=test://smpte", "-p", "detector:model:=/nowhere/m.onnx"]
    ended = forked.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "there is no such file" in ended.stderr.strip().splitlines()[-1]
