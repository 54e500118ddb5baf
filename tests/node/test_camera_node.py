"""The camera node over real DDS: published messages, and faults."""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import forked
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from camera_process import LONG, Start, camera_nodes, command, values
from clips import make_clip
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_camera.node import CameraNode
from edgecam_ros.local_topics import CAPTURED
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter as NodeParameter
from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from ros_peer import Peer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from waiting import wait_until


@pytest.fixture
def start() -> Iterator[Start]:
    with camera_nodes() as begin:
        yield begin


def ns(message: Image | CameraInfo) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_a_frame_arrives_whole_with_its_info_and_stamp(peer: Peer, start: Start) -> None:
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    infos = peer.collect(CameraInfo, "/camera/camera_info")
    start(source="test://red", image_width=321, image_height=64)
    wait_until(lambda: len(images) >= 10 and len(infos) >= 10, LONG, "frames")
    image = images[-1]
    assert (image.width, image.height, image.step, image.encoding) == (321, 64, 963, "bgr8")
    pixels = np.frombuffer(image.data, np.uint8).reshape(64, 321, 3)
    assert np.abs(pixels.astype(int) - [0, 0, 255]).max() <= 2
    assert image.header.frame_id == "camera_optical_frame"
    assert np.all(np.diff([ns(one) for one in images]) > 0)
    age = peer.node.get_clock().now().nanoseconds - ns(images[-1])
    assert 0 < age < LONG * 1e9

    def pairs() -> list[CameraInfo]:
        known = {ns(one) for one in list(images)}
        return [info for info in list(infos) if ns(info) in known]

    matching = wait_until(lambda: len(pairs()) >= 5 and pairs(), LONG, "infos with the stamps of frames")
    assert (matching[0].width, matching[0].height, matching[0].k[0]) == (321, 64, 0.0)
    assert matching[0].header.frame_id == "camera_optical_frame"
    assert len(matching[0].d) == 0


def test_a_looped_clip_plays_at_its_own_rate(peer: Peer, start: Start, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=25, rate=25)
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports = peer.collect(DiagnosticArray, "/diagnostics")
    start(source=f"file://{clip}", loop=True)
    wait_until(lambda: len(images) >= 80, LONG, "three rounds")
    stamps = np.array([ns(one) for one in images])
    assert np.all(np.diff(stamps) > 0)
    steps = np.diff(stamps) / 40e6  # in frames of the clip; a busy machine may drop some
    assert np.abs(steps - steps.round()).max() < 0.05
    report = wait_until(lambda: reports and float(values(reports[-1])["fps"]) > 0 and reports[-1], LONG, "a report")
    assert values(report)["source"] == f"file://{clip}"
    assert values(report)["reconnects"] == "0"
    assert float(values(report)["last_frame_age"]) >= 0
    assert report.status[0].hardware_id.startswith("camera")


@pytest.mark.parametrize(
    ("settings", "code", "reported"),
    [
        ({"source": "file:///nowhere.mp4"}, 1, "'source' is 'file:///nowhere.mp4': there is no such file"),
        ({"source": "carrier-pigeon://roof"}, 1, "unknown scheme 'carrier-pigeon'"),
        ({"image_width": 0}, 2, "'image_width' is 0"),
        ({"framerate": -3.0}, 2, "'framerate' is -3.0: must be 0 to 1000 Hz"),
        ({"image_encoding": "bgr9"}, 2, "'image_encoding' is 'bgr9': must be one of bgr8"),
        ({"frame_rate": 3.0}, 2, "did you mean framerate"),
        ({"camera_info_url": "file:///nowhere.yaml"}, 1, "'camera_info_url' is 'file:///nowhere.yaml'"),
    ],
)
def test_bad_settings_end_the_node_with_one_line(settings: dict[str, object], code: int, reported: str) -> None:
    done = forked.run(command("/camera", settings), capture_output=True, text=True, timeout=LONG, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == code
    assert len(errors) == 1
    assert reported in errors[0]
    assert "Traceback" not in done.stderr


def test_a_source_that_may_come_back_is_retried(peer: Peer, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a video at all" * 1000)
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    reports = peer.collect(DiagnosticArray, "/diagnostics")
    start(source=f"file://{path}", loop=True)
    bad = wait_until(lambda: reports and int(values(reports[-1]).get("reconnects", 0)) >= 1 and reports[-1], LONG)
    assert bad.status[0].level == b"\x02"
    assert bad.status[0].message.startswith("retrying: ")
    make_clip(path, frames=10)
    wait_until(lambda: len(images) >= 5, LONG, "frames after the repair")
    wait_until(lambda: reports[-1].status[0].message == "streaming", LONG, "a good report")


def test_a_deactivated_node_is_silent_and_can_be_activated_again(peer: Peer, start: Start) -> None:
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    start(autostart=False, image_width=64, image_height=48)

    def change(to: int) -> None:
        request = ChangeState.Request(transition=Transition(id=to))
        assert peer.call(ChangeState, "/camera/camera_driver/change_state", request, LONG).success

    def label() -> str:
        return peer.call(GetState, "/camera/camera_driver/get_state", GetState.Request()).current_state.label

    assert label() == "unconfigured"
    change(Transition.TRANSITION_CONFIGURE)
    assert label() == "inactive"
    assert not images
    for _ in range(2):
        change(Transition.TRANSITION_ACTIVATE)
        count = len(images)
        wait_until(lambda seen=count: len(images) > seen + 3, LONG, "frames")
        change(Transition.TRANSITION_DEACTIVATE)
    change(Transition.TRANSITION_CLEANUP)
    assert label() == "unconfigured"


def test_size_and_rate_can_change_at_run_time_but_not_the_source(peer: Peer, start: Start) -> None:
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    start(image_width=64, image_height=48)
    wait_until(lambda: len(images) >= 3, LONG, "frames")

    def set_parameter(name: str, kind: int, **value: object) -> tuple[bool, str]:
        parameter = Parameter(name=name, value=ParameterValue(type=kind, **value))
        answer = peer.call(
            SetParameters, "/camera/camera_driver/set_parameters", SetParameters.Request(parameters=[parameter])
        )
        return answer.results[0].successful, answer.results[0].reason

    assert set_parameter("image_width", ParameterType.PARAMETER_INTEGER, integer_value=128)[0]
    wait_until(lambda: images[-1].width == 128, LONG, "the new size")
    refused, why = set_parameter("image_width", ParameterType.PARAMETER_INTEGER, integer_value=0)
    assert not refused
    assert "must be 1 to 16384 px" in why
    refused, why = set_parameter("source", ParameterType.PARAMETER_STRING, string_value="test://ball")
    assert not refused
    assert "cannot change while the node runs" in why
    count = len(images)
    wait_until(lambda: len(images) > count + 3, LONG, "frames after the refusals")


def test_simulated_time_is_followed(peer: Peer, start: Start) -> None:
    images = peer.collect(Image, "/camera/image_raw", qos_profile_sensor_data)
    clock = peer.node.create_publisher(Clock, "/clock", 10)
    ticks = itertools.count(1)
    peer.node.create_timer(
        0.02, lambda: clock.publish(Clock(clock=Time(sec=5000 + next(ticks))))
    )  # 50 times as fast as real time
    start(image_width=64, image_height=48, use_sim_time=True)
    wait_until(lambda: len(images) > 5 and ns(images[-1]) > 5000e9, LONG, "stamps of simulated time")
    first = len(images)
    wait_until(lambda: len(images) > first + 10, LONG, "more frames")
    stamps = np.array([ns(one) for one in images[first:]])
    assert np.all(np.diff(stamps) > 0)
    assert 5000e9 < stamps[-1] <= (5000 + next(ticks)) * 1e9


def test_a_conversion_is_loaded_before_anybody_subscribes() -> None:
    settings = {"source": "test://red", "image_width": 64, "image_height": 48}  # BGRA, which OpenCV converts
    with subprocess.Popen(command("/camera", settings)) as node:  # a new interpreter
        maps = Path(f"/proc/{node.pid}/maps")
        try:
            wait_until(lambda: "/cv2" in maps.read_text(), LONG, "OpenCV")
        finally:
            node.send_signal(signal.SIGINT)


def test_best_effort_is_offered_on_request(peer: Peer, start: Start) -> None:
    start(image_width=64, image_height=48, image_reliability="best_effort")
    info = wait_until(lambda: peer.node.get_publishers_info_by_topic("/camera/image_raw"), LONG, "the publisher")
    assert info[0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_the_snapshot_and_an_encoder_of_this_process_request_frames() -> None:
    node = CameraNode(parameter_overrides=[NodeParameter("autostart", value=False)], namespace="/asked")
    try:
        node.trigger_configure()
        assert not node._has_consumers()  # a coded stream idles
        topic = node.resolve_topic_name("image_raw")
        CAPTURED.subscribe(topic, print)
        assert node._has_consumers()
        CAPTURED.unsubscribe(topic, print)
        node._files._requested.set()
        assert node._has_consumers()
    finally:
        node.destroy_node()
