"""Replay over real DDS: bytes, types and times as recorded; the same recording gives the same detections."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import forked
import numpy as np
import pytest
import recordings as made
from edgecam_camera.node import CameraNode
from edgecam_core.collect.collection import Collection
from edgecam_core.recording import qos
from edgecam_core.recording.message import Message
from edgecam_ros.qos import image_qos, latched_qos
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from ros_peer import Peer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from running import running
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tiny_models import color_detector
from waiting import wait_until

COMMAND = "import sys; from edgecam_core.cli.main import main; sys.exit(main())"


def edgecam(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return forked.run(command, input=stdin, capture_output=True, text=True, timeout=300, env=dict(os.environ))


def stamp(clock: Clock) -> int:
    return clock.clock.sec * made.SECOND + clock.clock.nanosec


def as_images(messages: list[Message]) -> list[Image]:
    """Comparable: the padding in the serialised form is arbitrary."""
    return [deserialize_message(one.data, Image) for one in messages]


def scene(tmp_path: Path, count: int = 10) -> tuple[Path, list[Message]]:
    latched = made.topic("/words", "std_msgs/msg/String", qos.Qos(depth=1, durability="transient_local"))
    first = Message(latched, made.START_NS, made.START_NS, made.text("hello"))
    messages = [first, *made.image_messages(count)]
    return made.write(tmp_path / "x.mcap", messages), messages


def replay_until_complete(images: list[Image], count: int, *arguments: object, clock: list[Clock] | None = None) -> str:
    """Play again if the subscribers were discovered later than the delay; returns the output."""

    def complete() -> str:
        for received in (images, clock or []):
            received.clear()
        done = edgecam("replay", *arguments, "--delay", "3")
        assert done.returncode == 0, done.stderr
        with contextlib.suppress(pytest.fail.Exception):
            wait_until(lambda: len(images) == count, 10)
            return done.stdout
        return ""

    return wait_until(complete, what=f"{count} images")


def test_every_message_is_replayed_unchanged(peer: Peer, tmp_path: Path) -> None:
    path, messages = scene(tmp_path)
    images = peer.collect(Image, "/camera/image_raw", image_qos(50))
    words = peer.collect(String, "/words", latched_qos())
    clock = peer.collect(Clock, "/clock", 1000)
    assert replay_until_complete(images, 10, path, clock=clock) == "11 messages of 2 topics\n"
    wait_until(lambda: words and clock and stamp(clock[-1]) == messages[-1].log_ns, what="the other topics")
    assert images == as_images(messages[1:])
    assert words[0].data == "hello"
    times = [stamp(one) for one in clock]
    assert times == sorted(times)
    assert times[0] >= made.START_NS
    assert set(times) - {message.log_ns for message in messages}, "no time between two messages"


def test_topics_start_and_prefix_are_selected(peer: Peer, tmp_path: Path) -> None:
    path, messages = scene(tmp_path)
    images = peer.collect(Image, "/again/camera/image_raw", image_qos(50))
    arguments = (path, "/camera/image_raw", "--start", "0.5", "--prefix", "/again", "--no-clock")
    assert replay_until_complete(images, 5, *arguments) == "5 messages of 1 topics\n"
    assert images == as_images(messages[-5:])


def test_steps_wait_for_enter(tmp_path: Path) -> None:
    path, _ = scene(tmp_path)
    done = edgecam("replay", path, "/camera/image_raw", "--step", "--delay", "0", stdin="\n\n\n")
    assert "3 messages of 1 topics" in done.stdout
    assert done.stdout.count("Enter publishes it") == 4


def test_a_sqlite_bag_of_another_recorder_is_replayed(peer: Peer, tmp_path: Path) -> None:
    messages = made.image_messages(4)
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/camera/image_raw", made.IMAGE_TYPE, typestore=made.STORE)
        for message in messages:
            writer.write(connection, message.log_ns, message.data)
    images = peer.collect(Image, "/camera/image_raw", image_qos(50))
    assert replay_until_complete(images, 4, tmp_path / "bag") == "4 messages of 1 topics\n"
    assert images == as_images(messages)


def test_an_impossible_replay_is_refused_with_the_reason(tmp_path: Path) -> None:
    path, _ = scene(tmp_path)
    kind = made.topic("/odd", "std_msgs/msg/String")
    odd = made.write(tmp_path / "odd.mcap", [Message(type(kind)("/odd", "odd_msgs/msg/Odd"), 5, 5, b"\0\1\0\0")])
    for arguments, reason in (
        ((path, "/nothing"), "topic /nothing is not in the recording; its topics are /camera/image_raw, /words"),
        ((path, "--rate", "0"), "parameter '--rate' is 0.0: must be above 0"),
        ((tmp_path / "none.mcap",), "does not exist"),
        ((odd,), "messages of type odd_msgs/msg/Odd need the package odd_msgs"),
    ):
        done = edgecam("replay", *arguments)
        assert done.returncode in (1, 2)
        assert reason in done.stderr
        assert "Traceback" not in done.stderr


def test_a_truncated_recording_is_played_and_reported(tmp_path: Path) -> None:
    path, _ = scene(tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    done = edgecam("replay", path, "--rate", "100", "--delay", "0")
    assert done.returncode == 1
    assert "11 messages of 2 topics" in done.stdout
    assert "its end is missing" in done.stderr
    assert "11 messages" in edgecam("replay", path, "--list").stdout


def test_the_camera_node_plays_a_recording_and_steps(peer: Peer, tmp_path: Path) -> None:
    path, messages = scene(tmp_path)
    images = peer.collect(Image, "/camera/image_raw", image_qos(50))
    overrides = [Parameter("source", value=f"mcap://{path}?step=true")]
    with running(CameraNode(namespace="/camera", parameter_overrides=overrides)) as node:
        wait_until(
            lambda: node._camera is not None and node._camera.can_step and node._raw.has_consumers(), what="the source"
        )
        for count in range(1, 11):
            assert peer.call(Trigger, "/camera/camera_driver/step", Trigger.Request()).success
            wait_until(lambda count=count: len(images) == count, what=f"frame {count}")
    for one, message in zip(images, messages[1:], strict=True):
        recorded = made.STORE.deserialize_cdr(message.data, made.IMAGE_TYPE)
        assert (one.header.stamp.sec, one.header.stamp.nanosec) == (
            recorded.header.stamp.sec,
            recorded.header.stamp.nanosec,
        )
        assert np.array_equal(np.asarray(one.data), recorded.data)


def test_a_camera_without_steps_reports_it(peer: Peer) -> None:
    with running(CameraNode(namespace="/camera", parameter_overrides=[Parameter("source", value="test://smpte")])):
        answer: Any = peer.call(Trigger, "/camera/camera_driver/step", Trigger.Request())
        assert not answer.success
        assert "only an open recording" in answer.message


def squares(tmp_path: Path, count: int = 12) -> Path:
    """A recording with one coloured square a frame, as compressed images."""
    kind = made.topic("/camera/image_raw/compressed", made.COMPRESSED_TYPE)
    messages = []
    for number in range(count):
        stamp = made.START_NS + number * made.SECOND // 10
        frame = np.full((96, 128, 3), 20, np.uint8)
        frame[10 + number : 50 + number, 20 : 60 + number] = ((0, 0, 255), (0, 255, 0))[number % 2]
        jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
        messages.append(Message(kind, stamp, stamp, made.compressed(jpeg, stamp)))
    return made.write(tmp_path / "squares.mcap", messages)


def test_the_same_recording_gives_bit_identical_detections_twice(tmp_path: Path) -> None:
    path, model = squares(tmp_path), color_detector(tmp_path / "m.onnx")
    results = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.json"
        done = edgecam("detect", f"mcap://{path}", "--model", model, "--json", out, "--confidence-threshold", "0.1")
        assert done.returncode == 0, done.stdout + done.stderr
        results.append(out.read_bytes())
    assert results[0] == results[1]
    found = json.loads(results[0])
    assert len(found if isinstance(found, list) else found["images"]) == 12  # every frame, none dropped


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    return color_detector(tmp_path / "a.onnx"), color_detector(tmp_path / "b.onnx")


def test_equal_models_agree(tmp_path: Path, models: tuple[Path, Path]) -> None:
    done = edgecam("replay", squares(tmp_path), "--compare", *models, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 images, 0 of them with differences" in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_models_that_differ_give_a_table_images_and_a_collection(tmp_path: Path, models: tuple[Path, Path]) -> None:
    first, _ = models
    # Every pixel becomes -0.79, for which the model gives a score of about 0.1.
    blind = color_detector(
        tmp_path / "blind.onnx", metadata={"mean": "[8030, 8030, 8030]", "std": "[10000, 10000, 10000]"}
    )
    out, collection = tmp_path / "out", tmp_path / "collection"
    arguments = ("--output", out, "--collect", collection, "--confidence-threshold", "0.25", "--most", "5")
    done = edgecam("replay", squares(tmp_path), "--compare", first, blind, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line[:3] in ("red", "all", "gre")}
    assert rows["all"][0] == "0"
    assert int(rows["all"][1]) >= 12
    assert rows["all"][2] == "0"
    images = sorted(out.iterdir())
    assert len(images) == 5
    assert cv2.imread(str(images[0])).shape == (96 + 28, 2 * 128, 3)
    kept = list(Collection.open(collection).frames())
    assert sorted(one.stamp_ns for one in kept) == [made.START_NS + n * made.SECOND // 10 for n in range(5)]
    assert "disagree" in {rule["rule"] for rule in kept[0].rules}
