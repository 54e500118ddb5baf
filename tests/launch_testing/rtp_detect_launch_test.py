"""rtp_detect.launch.xml: receiver and detector in one process, without frames on DDS."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from network import free_udp_port

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("rtp_detect", port=free_udp_port())


class TestDetect(suite.PeerTestCase):
    def test_both_nodes_are_there_and_share_frames(self) -> None:
        self.wait_until(lambda: self.node.count_publishers("/camera/detections"), "the detector")
        self.wait_until(lambda: self.node.count_publishers("/camera/stream/image_raw"), "the receiver")
        self.assertEqual(self.node.count_subscribers("/camera/stream/image_raw"), 0)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
