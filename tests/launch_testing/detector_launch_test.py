"""detector.launch.xml: one array per frame with the frame's header, also when nothing is found."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from vision_msgs.msg import Detection2DArray, LabelInfo

from launch import LaunchDescription

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("detector")


class TestDetector(suite.PeerTestCase):
    def test_an_empty_frame_gives_an_empty_array_with_its_header(self) -> None:
        sent, array = self.wait_for_frame_to_return(Detection2DArray, "/camera/detections")
        self.assertEqual(array.header, sent.header)
        self.assertEqual(list(array.detections), [])

    def test_a_late_subscriber_receives_the_labels(self) -> None:
        received = self.collect(LabelInfo, "/camera/label_info", LATCHED)
        names = {one.class_name for one in self.wait_until(lambda: received, "label_info")[0].class_map}
        self.assertLessEqual({"person", "giraffe"}, names)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
