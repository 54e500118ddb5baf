"""cameras.launch.xml: every camera of the list has its own namespace and optical frame."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from network import free_tcp_port
from sensor_msgs.msg import Image

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("cameras", viewer_port=free_tcp_port())


class TestCameras(suite.PeerTestCase):
    def test_both_cameras_of_the_example_deliver(self) -> None:
        left = self.collect(Image, "/left/image_raw")
        right = self.collect(Image, "/right/image_raw")
        self.wait_until(lambda: len(left) > 5 and len(right) > 5, "frames of both")
        self.assertEqual(left[-1].header.frame_id, "left_optical_frame")
        self.assertEqual((right[-1].width, right[-1].height), (320, 240))
        self.assertEqual(right[-1].header.frame_id, "right_optical_frame")


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    processes = 3
