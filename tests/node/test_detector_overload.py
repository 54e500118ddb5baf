"""Four cameras at 30 Hz into a detector that processes 25 images per second, over real DDS."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil
import rclpy
from builtin_interfaces.msg import Time
from detecting import Detecting
from edgecam_detector.camera import CameraTopics
from edgecam_ros.qos import image_qos
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from ros_peer import Peer
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tiny_models import color_detector, quadrants
from vision_msgs.msg import Detection2DArray
from waiting import wait_until

CAMERAS = ["front", "rear", "left", "right"]
RATE = 30.0
SERVICE = 1 / 25  # seconds the detector takes for an image
WINDOW = 60  # the number of detections in one evaluation: 2.4 s
MIB = 2**20


def slow_down(subject: Detecting) -> None:
    """Make every inference take as long as on a slow machine."""
    runner = subject.node._worker.detector.runner
    infer = runner._infer

    def slow(feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        ready = time.monotonic() + SERVICE
        outputs = infer(feed)
        time.sleep(max(0.0, ready - time.monotonic()))
        return outputs

    runner._infer = slow


def test_shares_and_memory_under_overload(peer: Peer, tmp_path: Path) -> None:
    subject = Detecting(peer, color_detector(tmp_path / "m.onnx"), cameras=CAMERAS)
    slow_down(subject)
    arrived: list[str] = []  # cameras
    clock = peer.node.get_clock()
    for name in CAMERAS:
        topic = f"/camera/{name}/detections"

        def take(array: Detection2DArray, name: str = name) -> None:
            arrived.append(name)

        peer.node.create_subscription(Detection2DArray, topic, take, 10)
    done = threading.Event()

    def cameras() -> None:
        image, begin = quadrants(160, 120), time.monotonic()
        for number in itertools.count():  # one after the other, like unsynchronised cameras
            if done.wait(max(0.0, begin + number / RATE / len(CAMERAS) - time.monotonic())):
                return
            subject.send(image, clock.now().nanoseconds, CAMERAS[number % len(CAMERAS)])

    def is_fair() -> bool:
        """For the newest detections; a busy machine may need several windows. Latencies: tests/unit/test_mailbox.py."""
        counts = [arrived[-WINDOW:].count(camera) for camera in CAMERAS]
        fair = WINDOW / len(CAMERAS)
        return 0.8 * fair <= min(counts) and max(counts) <= 1.2 * fair

    sender = threading.Thread(target=cameras)
    sender.start()
    try:
        wait_until(lambda: len(arrived) > WINDOW, what="the first detections")
        before = psutil.Process().memory_info().rss
        seen = len(arrived)
        wait_until(lambda: len(arrived) > seen + WINDOW and is_fair(), 120, "fair shares")
        assert psutil.Process().memory_info().rss - before < 8 * MIB  # the images sent meanwhile exceed 16
        assert subject.node._worker.drops.totals()["dropped for a newer one"] > 0
    finally:
        done.set()
        sender.join()
        subject.close()


def test_a_late_node_takes_only_the_newest_frame(peer: Peer) -> None:
    node = rclpy.create_node("late", namespace="/late")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    taken: list[int] = []
    topics = CameraTopics(node, "front")
    topics.subscribe(lambda _name, image: taken.append(image.header.stamp.sec), lambda _name, _frame: None, "reliable")
    publisher = peer.node.create_publisher(Image, "/late/front/image_raw", image_qos())
    wait_until(lambda: publisher.get_subscription_count() == 1)

    def send(*seconds: int) -> None:
        for second in seconds:
            publisher.publish(Image(header=Header(stamp=Time(sec=second))))
        assert publisher.wait_for_all_acked(Duration(seconds=30))

    send(1, 2, 3, 4)  # the node is not spinning yet
    while taken[-1:] != [4]:
        executor.spin_once(timeout_sec=30)
    send(5)
    while taken[-1:] != [5]:
        executor.spin_once(timeout_sec=30)
    assert taken == [4, 5]
    topics.close()
    executor.shutdown()
    node.destroy_node()
