"""Shared by the launch tests: a shipped XML file as a launch description, a peer node, the check of a clean shutdown.

Needs the real `launch_testing` package (ros-$ROS_DISTRO-launch-testing); `tests/launch/` checks the same things where
ROS is installed from wheels. Each file runs separately: `tests/launch_testing/run`, or
`PYTHONPATH=tests/launch_testing launch_test tests/launch_testing/camera_launch_test.py`.
"""

from __future__ import annotations

import os
import sys
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from network import free_domain

# Before rclpy is imported: the tests must not discover other machines or other tests.
os.environ["ROS_DOMAIN_ID"] = str(free_domain())
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.pop("FASTDDS_DEFAULT_PROFILES_FILE", None)
os.environ.pop("FASTRTPS_DEFAULT_PROFILES_FILE", None)

import rclpy
from ament_index_python.packages import get_package_share_directory
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch_testing.actions import ReadyToTest
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from launch import LaunchDescription

TIMEOUT = 120.0  # seconds; a loaded machine starts five nodes slowly
SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
SHARE = Path(get_package_share_directory("edgecam_bringup"))
CLIP = f"file://{SHARE / 'media' / 'animals.mp4'}"


def describe(*files: str, **arguments: object) -> LaunchDescription:
    """The named launch files, then the tests. Each argument is passed to every file that declares it."""
    given = [(name, str(value)) for name, value in arguments.items()]
    return LaunchDescription(
        [
            *(
                IncludeLaunchDescription(
                    AnyLaunchDescriptionSource(str(SHARE / "launch" / f"{file}.launch.xml")), launch_arguments=given
                )
                for file in files
            ),
            ReadyToTest(),
        ]
    )


def frame(width: int = 320, height: int = 240) -> Image:
    """A grey bgr8 frame with a brighter square, in the optical frame; the caller sets the stamp."""
    message = Image(width=width, height=height, step=3 * width, encoding="bgr8")
    row = b"\x60\x60\x60" * width
    bright = b"\x60\x60\x60" * 80 + b"\xd0\xd0\xd0" * 80 + b"\x60\x60\x60" * (width - 160)
    message.data.frombytes(row * 80 + bright * 80 + row * (height - 160))
    message.header.frame_id = "camera_optical_frame"
    return message


class PeerTestCase(unittest.TestCase):
    """Base of the active tests: `self.node` is a plain rclpy node at the other end of the topics."""

    @classmethod
    def setUpClass(cls) -> None:
        rclpy.init()
        cls.node = rclpy.create_node("launch_test_peer")
        cls.executor = SingleThreadedExecutor()
        cls.executor.add_node(cls.node)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.executor.shutdown()
        cls.node.destroy_node()
        rclpy.shutdown()

    def collect(self, message_type: type, topic: str, qos: Any = SENSOR) -> list[Any]:
        """A list that grows with every message of a topic."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Spin until the condition is true; returns its value."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if value := condition():
                return value
            self.executor.spin_once(timeout_sec=0.02)
        raise AssertionError(f"waited {TIMEOUT:g} s for {what}")

    def wait_for_frame_to_return(self, message_type: type, topic: str) -> tuple[Image, Any]:
        """Publish frames on image_raw until a message with the stamp of one arrives; (the frame, the message)."""
        publisher = self.node.create_publisher(Image, "/camera/image_raw", 5)
        received = self.collect(message_type, topic)
        sent: dict[tuple[int, int], Image] = {}

        def answered() -> tuple[Image, Any] | None:
            message = frame()
            message.header.stamp = self.node.get_clock().now().to_msg()
            sent[message.header.stamp.sec, message.header.stamp.nanosec] = message
            publisher.publish(message)
            for one in received:
                if found := sent.get((one.header.stamp.sec, one.header.stamp.nanosec)):
                    return found, one
            return None

        pair: tuple[Image, Any] = self.wait_until(answered, f"a frame's stamp on {topic}")
        return pair


class CleanEnd:
    """A mixin for post-shutdown tests: number of processes, exit codes 0, no traceback."""

    processes = 1

    def test_every_process_ended_with_zero(self, proc_info: Any) -> None:
        names = list(proc_info.process_names())
        assert len(names) == self.processes, names
        assert {name: proc_info[name].returncode for name in names} == dict.fromkeys(names, 0)

    def test_no_traceback_was_printed(self, proc_output: Any) -> None:
        text = "".join(one.text.decode(errors="replace") for one in proc_output)
        for bad in ("Traceback", "terminate called", "Segmentation fault", "core dumped"):
            assert bad not in text, text
