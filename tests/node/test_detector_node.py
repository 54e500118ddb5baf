"""The detector's contract over real DDS: one test for each clause."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from detecting import SENT, STAMP, Detecting, names
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.models.detector import Detector
from edgecam_core.types import Frame
from edgecam_ros.qos import latched_qos
from rcl_interfaces.srv import GetParameters
from rclpy.qos import ReliabilityPolicy
from ros_peer import Peer
from sensor_msgs.msg import Image
from tiny_models import color_detector, quadrants
from vision_msgs.msg import LabelInfo, VisionInfo
from waiting import DISCOVERY, wait_until


@pytest.fixture
def detecting(peer: Peer, tmp_path: Path) -> Iterator[Detecting]:
    subject = Detecting(peer, color_detector(tmp_path / "colors.onnx"))
    yield subject
    subject.close()


def test_header_boxes_and_names(detecting: Detecting) -> None:
    array = detecting.answer(quadrants(640, 480), STAMP)
    header = array.header
    assert (header.stamp.sec * 10**9 + header.stamp.nanosec, header.frame_id) == (STAMP, "camera_optical_frame")
    assert all(detection.header == header for detection in array.detections)
    boxes = {
        detection.results[0].hypothesis.class_id: (
            detection.bbox.center.position.x,
            detection.bbox.center.position.y,
            detection.bbox.size_x,
            detection.bbox.size_y,
        )
        for detection in array.detections
    }
    assert boxes["red"] == pytest.approx((160, 120, 320, 240))
    assert boxes["blue"] == pytest.approx((160, 360, 320, 240))
    scores = [detection.results[0].hypothesis.score for detection in array.detections]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(detection.bbox.center.theta == 0 and detection.id == "" for detection in array.detections)


def test_an_empty_result_is_published_too(detecting: Detecting) -> None:
    array = detecting.answer(np.zeros((48, 64, 3), np.uint8))
    assert array.detections == []
    assert array.header.frame_id == "camera_optical_frame"


def test_label_info_and_vision_info_are_latched_for_late_subscribers(detecting: Detecting) -> None:
    labels = detecting.peer.collect(LabelInfo, "/camera/label_info", latched_qos())
    vision = detecting.peer.collect(VisionInfo, "/camera/vision_info", latched_qos())
    wait_until(lambda: labels and vision, what="label_info and vision_info")
    assert {(item.class_id, item.class_name) for item in labels[0].class_map} == {(1, "red"), (2, "green"), (3, "blue")}
    assert labels[0].threshold == 0.5
    assert "ssd" in vision[0].method
    assert vision[0].database_location == "/camera/detector/class_names"
    request = GetParameters.Request(names=["class_names"])
    answer = detecting.peer.call(GetParameters, "/camera/detector/get_parameters", request)
    assert list(answer.values[0].string_array_value) == ["BACKGROUND", "red", "green", "blue"]


def test_thresholds_and_classes_change_while_running(detecting: Detecting) -> None:
    labels = detecting.peer.collect(LabelInfo, "/camera/label_info", latched_qos())
    assert detecting.set(confidence_threshold=0.9, classes=["red", "blue"]) == ""
    assert names(detecting.answer(quadrants(64, 48))) == {"red", "blue"}
    wait_until(lambda: labels and labels[-1].threshold == pytest.approx(0.9), what="the new threshold in label_info")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"confidence_threshold": 1.5}, "must be 0 to 1"),
        ({"classes": ["purple"]}, "the model has no such class"),
        ({"regions": ["rear: 0,0 1,0 1,1"]}, "there is no such camera"),
        ({"model": "other.onnx"}, "cannot change while the node runs"),
    ],
)
def test_an_impossible_change_is_refused(detecting: Detecting, change: dict[str, Any], reason: str) -> None:
    assert reason in detecting.set(**change)
    assert names(detecting.answer(quadrants(64, 48))) == {"red", "green", "blue"}


def test_an_image_that_arrives_while_the_node_closes_is_not_an_error(
    detecting: Detecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, worker = detecting.node, detecting.node._worker

    def closed_meanwhile(_stamp: int) -> float:
        node._worker = None
        return 0.0

    monkeypatch.setattr(node, "_age", closed_meanwhile)
    node._on_local_frame("", Frame.from_array(quadrants(64, 48), "bgr8", STAMP))
    node._worker = worker


def test_the_lifecycle_can_be_repeated(detecting: Detecting) -> None:
    detecting.answer(quadrants(64, 48))
    detecting.cycle_lifecycle()
    wait_until(lambda: detecting.node._worker.detector, what="the model")
    assert names(detecting.answer(quadrants(64, 48))) == {"red", "green", "blue"}


def test_overlay_has_the_images_stamp_and_its_boxes(detecting: Detecting) -> None:
    image = quadrants(320, 240)
    detecting.answer(image)
    assert detecting.node.count_publishers("/camera/overlay") == 1
    overlays: list[Image] = detecting.peer.collect(Image, "/camera/overlay")
    wait_until(lambda: detecting.answer(image) and overlays, what="an overlay")
    drawn = np.frombuffer(overlays[0].data, np.uint8).reshape(240, 320, 3)
    assert overlays[0].header in [array.header for array in detecting.arrays]
    assert overlays[0].encoding == "bgr8"
    assert (drawn != image).any()
    assert (drawn[100, 20:140] == image[100, 20:140]).all()  # the inside of a box stays


def test_diagnostics_report_rates_and_stages(detecting: Detecting) -> None:
    statuses = detecting.peer.collect(DiagnosticArray, "/diagnostics")

    def running() -> dict[str, str] | None:
        detecting.send(quadrants(64, 48), stamp=detecting.node.get_clock().now().nanoseconds)
        for array in reversed(statuses):
            if array.status[0].message == "running":
                return {item.key: item.value for item in array.status[0].values}
        return None

    values = wait_until(running, what="a running status", every=SENT)
    for key in ("receive_ms", "wait_ms", "preprocess_ms", "infer_ms", "decode_ms", "deliver_ms", "latency_ms", "fps"):
        assert float(values[key]) >= 0, key
    assert statuses[-1].status[0].name == "camera/detector"


def test_several_cameras_share_one_model(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = {"front": (quadrants(64, 48), 3), "rear": (np.zeros((48, 64, 3), np.uint8), 0)}
    opened: list[int] = []
    original = Detector.load
    monkeypatch.setattr(Detector, "load", lambda *rest, **named: opened.append(1) or original(*rest, **named))
    statuses: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    model = color_detector(tmp_path / "m.onnx")
    subject = Detecting(peer, model, cameras=list(cameras), image_reliability="reliable")

    def reported(*sending: str) -> DiagnosticStatus:
        for name in sending:
            subject.send(cameras[name][0], camera=name)
        return statuses[-1].status[0] if statuses else DiagnosticStatus()

    def running() -> bool:
        values = {item.key: item.value for item in reported(*cameras).values}
        return (
            all(float(values.get(f"{name}/fps", 0)) > 0 for name in cameras) and "no frames" not in reported().message
        )

    try:
        for name in cameras:
            (reader,) = peer.node.get_subscriptions_info_by_topic(f"/camera/{name}/image_raw")
            assert reader.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        wait_until(running, 2 * DISCOVERY, "the rates of both cameras", every=SENT)
        gone = "no frames on /camera/rear/image_raw"
        one = "the end of one camera in /diagnostics"
        wait_until(lambda: reported("front").message == gone, 2 * DISCOVERY, one, every=SENT)
        wait_until(running, 2 * DISCOVERY, "its return", every=SENT)
    finally:
        subject.close()
    assert opened == [1]
    for name, (_, count) in cameras.items():
        array = subject.found[name][0]
        assert (array.header.frame_id, len(array.detections)) == (name, count)


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        (["model:=/nowhere/m.onnx"], 1, "'model' is '/nowhere/m.onnx': there is no such file"),
        (["confidence_threshold:=2.0"], 2, "must be 0 to 1"),
        (["backend:=magic"], 2, "must be one of auto"),
    ],
)
def test_an_impossible_parameter_ends_the_node_with_one_line(parameters: list[str], code: int, message: str) -> None:
    command = [sys.executable, "-m", "edgecam_detector.node", "--ros-args"]
    for parameter in parameters:
        command += ["-p", parameter]
    ended = forked.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == code
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_cache_that_cannot_be_written_is_a_warning(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    statuses: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    model = color_detector(tmp_path / "m.onnx")
    subject = Detecting(peer, model, max_batch=2, engine_cache=str(tmp_path / "file" / "engines"))
    try:
        assert names(subject.answer(quadrants(64, 48))) == {"red", "green", "blue"}
        reported = wait_until(
            lambda: [s for array in statuses for s in array.status if "cannot write" in s.message],
            what="the warning in /diagnostics",
        )
        assert reported[0].level == DiagnosticStatus.WARN
    finally:
        subject.close()


def test_the_reason_of_a_build_comes_from_the_nodes_logger(
    peer: Peer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = color_detector(tmp_path / "reasoned.onnx")
    Detecting(peer, model, max_batch=2, engine_cache=str(tmp_path)).close()
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "building reasoned-batch-" in line]
    assert line.startswith("[WARN]")
    assert "[camera.detector]" in line
    assert line.endswith("it does not exist yet")
