"""composed.launch.xml: camera and detector in one process find the clip's animals without a frame on DDS."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from vision_msgs.msg import Detection2DArray

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("composed", source=suite.CLIP, loop=True)


class TestComposed(suite.PeerTestCase):
    def test_animals_are_found(self) -> None:
        received = self.collect(Detection2DArray, "/camera/detections", 10)
        array = self.wait_until(lambda: [one for one in received if one.detections], "an animal")[0]
        self.assertEqual(array.header.frame_id, "camera_optical_frame")
        self.assertEqual(self.node.count_subscribers("/camera/image_raw"), 0)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
