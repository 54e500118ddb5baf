"""The recorder over real DDS: its files, read by rosbags; its services, its limits, the command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.recording import definitions
from edgecam_core.recording.message import RecordingError
from edgecam_core.recording.reader import open_recording
from edgecam_core.types import Detections, Frame
from edgecam_recorder.node import RecorderNode
from edgecam_recorder.subscriptions import message_class
from edgecam_ros.conversions import header_to_ros, image_to_ros
from edgecam_ros.detections import detections_to_ros
from edgecam_ros.qos import image_qos, latched_qos
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from ros_peer import Peer
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from running import running
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray, LabelInfo
from waiting import wait_until

SECOND = 1_000_000_000
START = 1_700_000_000
COMMAND = "import sys; from edgecam_core.cli.main import main; sys.exit(main())"


class RecorderScene:
    """A peer that publishes like camera and detector."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        create: Any = peer.node.create_publisher
        self.images = create(Image, "/camera/image_raw", image_qos())
        self.infos = create(CameraInfo, "/camera/camera_info", image_qos())
        self.compressed = create(
            CompressedImage,
            "/camera/image_raw/compressed",
            QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
        )
        self.detections = create(Detection2DArray, "/camera/detections", 10)
        self.labels = create(LabelInfo, "/camera/label_info", latched_qos())
        self.labels.publish(LabelInfo(threshold=0.25))
        self.sent: list[Image] = []

    def send(self) -> None:
        number = len(self.sent)
        header = header_to_ros((START + number) * SECOND, "lens")
        pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
        image = image_to_ros(Frame.from_array(pixels, "bgr8", (START + number) * SECOND, "lens"))
        found = Detections(
            np.array([[1, 2, 30, 40]], np.float32), np.array([0.5], np.float32), np.array([0], np.int32), ("cat",)
        )
        self.sent.append(image)
        self.images.publish(image)
        self.infos.publish(CameraInfo(header=header, width=64, height=48))
        self.compressed.publish(CompressedImage(header=header, format="jpeg", data=b"\xff\xd8" + bytes(100)))
        self.detections.publish(detections_to_ros(found, header))

    def send_until(self, condition: Callable[[], Any], what: str) -> None:
        def once() -> Any:
            self.send()
            return condition()

        wait_until(once, what=what)

    def record(self, on: bool) -> Any:
        return self.peer.call(SetBool, "/camera/recorder/record", SetBool.Request(data=on))

    def snapshot(self) -> Any:
        return self.peer.call(Trigger, "/camera/recorder/snapshot", Trigger.Request())


@pytest.fixture
def scene(peer: Peer) -> RecorderScene:
    return RecorderScene(peer)


TYPES = {
    "/camera/image_raw": Image, "/camera/camera_info": CameraInfo, "/camera/detections": Detection2DArray,
    "/camera/label_info": LabelInfo, "/camera/image_raw/compressed": CompressedImage,
}  # fmt: skip
TOPICS = ["image_raw", "camera_info", "detections", "label_info", "image_raw/comp*"]


@pytest.fixture
def node(scene: RecorderScene, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RecorderNode]:
    values = {"directory": str(tmp_path), "min_free_megabytes": 0.0, "topics": TOPICS, "flush_seconds": 0.1}
    values |= getattr(request, "param", {})
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with running(RecorderNode(namespace="/camera", parameter_overrides=overrides)) as recorder:
        yield recorder


def counts(path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    with contextlib.closing(open_recording(path)) as recording:
        for message in recording.messages():
            found[message.topic.name] = found.get(message.topic.name, 0) + 1
    return found


def all_topics_stored(path: Path | None) -> bool:
    """Whether a recording that is being written has messages of every topic, more than 40 in all."""
    if path is None or not path.exists():
        return False
    try:
        stored = counts(path)
    except RecordingError:  # its beginning is not written yet
        return False
    return set(stored) == set(TYPES) and sum(stored.values()) > 40


def stored_by(node: RecorderNode) -> bool:
    return node._recorder is not None and all_topics_stored(node._recorder.file)


def test_rosbags_finds_topics_types_hashes_qos_stamps_and_bytes(scene: RecorderScene, node: RecorderNode) -> None:
    scene.send_until(lambda: stored_by(node), "messages of every topic")
    path = Path(scene.record(False).message)
    with Reader(path) as reader:
        kinds = {one.topic: one for one in reader.connections}
        stored = [(one.topic, at, bytes(data)) for one, at, data in reader.messages()]
    assert set(kinds) == set(TYPES)
    for name, kind in TYPES.items():
        infos = scene.peer.node.get_publishers_info_by_topic(name)
        assert message_class(kinds[name].msgtype) is kind
        assert kinds[name].digest == str(infos[0].topic_type_hash)
        assert kinds[name].digest.startswith("RIHS01_")
        (offered,) = kinds[name].ext.offered_qos_profiles
        assert offered.reliability.name.lower() == infos[0].qos_profile.reliability.name.lower()
        assert offered.durability.name.lower() == infos[0].qos_profile.durability.name.lower()
    assert kinds["/camera/image_raw/compressed"].ext.offered_qos_profiles[0].reliability.name == "BEST_EFFORT"
    assert kinds["/camera/label_info"].ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
    images = [deserialize_message(data, Image) for name, _, data in stored if name == "/camera/image_raw"]
    assert len(images) > 5
    assert all(one in scene.sent for one in images)
    assert [at for _, at, _ in stored] == sorted(at for _, at, _ in stored)
    with AnyReader([path]) as typed:  # decodes by the definitions in the file
        for connection, _, raw in typed.messages():
            message = typed.deserialize(raw, connection.msgtype)
            if connection.topic != "/camera/label_info":
                assert message.header.frame_id == "lens"


def test_the_installed_definitions_of_our_topics_have_the_announced_hashes(scene: RecorderScene) -> None:
    """The stored definitions describe the types whose hash ROS announces."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    for topic, kind in TYPES.items():
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        store = get_typestore(Stores.EMPTY)
        text = definitions.definition(name, definitions.share_folders())
        store.register(get_types_from_msg(text, name))
        announced = scene.peer.node.get_publishers_info_by_topic(topic)[0].topic_type_hash
        assert store.hash_rihs01(name) == str(announced)


@pytest.mark.parametrize("node", [{"record_at_start": False}], indirect=True)
def test_nothing_is_subscribed_until_it_records(scene: RecorderScene, node: RecorderNode, tmp_path: Path) -> None:
    assert scene.images.get_subscription_count() == 0
    assert list(tmp_path.iterdir()) == []
    answer = scene.record(True)
    assert answer.success
    scene.send_until(lambda: stored_by(node), "messages of every topic")
    refused = scene.record(True)
    assert not refused.success
    assert f"already recording to {answer.message}" in refused.message
    done = scene.record(False)
    assert (done.success, done.message) == (True, answer.message)
    wait_until(lambda: scene.images.get_subscription_count() == 0, what="the end of the subscriptions")
    assert counts(Path(done.message))["/camera/image_raw"] > 0
    assert scene.record(False).message == "no recording was running"
    assert not scene.snapshot().success


@pytest.mark.parametrize("node", [{"rolling": True, "rolling_seconds": 60.0}], indirect=True)
def test_a_snapshot_preserves_what_is_there(scene: RecorderScene, node: RecorderNode) -> None:
    scene.send_until(lambda: stored_by(node), "messages of every topic")
    kept = Path(scene.snapshot().message)
    with Reader(kept) as reader:
        assert reader.message_count > 40
    scene.send_until(lambda: node._recorder is not None and node._recorder.recording, "the next recording")
    assert Path(scene.record(False).message) != kept


def test_the_report_names_what_is_recorded_and_what_ended_it(scene: RecorderScene, node: RecorderNode) -> None:
    reports = scene.peer.collect(DiagnosticArray, "/diagnostics", 50)

    def newest() -> Any:
        return next((one.status[0] for one in reversed(reports) if one.status[0].name == "camera/recorder"), None)

    def value(key: str) -> str:
        status = newest()
        return next((one.value for one in status.values if one.key == key), "") if status else ""

    scene.send_until(lambda: int(value("messages") or 0) > 40, "a report with messages")
    assert value("recording").endswith("_0.mcap")
    assert "/camera/image_raw" in value("topics")
    assert newest().level == DiagnosticStatus.OK
    node.set_parameters([Parameter("min_free_megabytes", value=1e8)])
    scene.send_until(lambda: newest().level == DiagnosticStatus.ERROR, "an error")
    assert "parameter 'min_free_megabytes' is 1e+08" in newest().message
    wait_until(lambda: scene.images.get_subscription_count() == 0, what="the end of the subscriptions")
    refused = scene.record(True)
    assert not refused.success
    assert "min_free_megabytes" in refused.message
    node.set_parameters([Parameter("min_free_megabytes", value=0.0)])
    assert scene.record(True).success


def test_the_command_writes_one_file_until_ctrl_c(scene: RecorderScene, tmp_path: Path) -> None:
    path = tmp_path / "out.mcap"
    with forked.Popen(
        [*(sys.executable, "-c", COMMAND, "record", path, "/camera/*"),
         *("--min-free-megabytes", "0", "--flush-seconds", "0.1")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ),
    ) as process:  # fmt: skip
        scene.send_until(lambda: all_topics_stored(path), "messages of every topic")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, output + errors
    stored = counts(path)
    assert output == f"{sum(stored.values())} messages in {path}\n"
    assert set(stored) == set(TYPES)
    with Reader(path) as reader:
        assert reader.message_count == sum(stored.values())


def test_a_command_that_fails_gives_the_reason(tmp_path: Path) -> None:
    (tmp_path / "out.mcap").write_bytes(b"")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return forked.run(
            [sys.executable, "-c", COMMAND, "record", *map(str, arguments)], capture_output=True, text=True, timeout=120
        )

    done = run(tmp_path / "out.mcap")
    assert (done.returncode, "exists; choose another name" in done.stderr) == (1, True), done.stderr
    done = run(tmp_path / "new.mcap", "/nothing", "--seconds", "1.5", "--min-free-megabytes", "0")
    assert done.returncode == 1
    assert "not published: /nothing" in done.stderr
    assert "0 messages" in done.stdout
