"""camera.launch.xml: frames and their calibration arrive with one stamp, in the optical frame."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from sensor_msgs.msg import CameraInfo, Image

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("camera", source="test://smpte")


class TestCamera(suite.PeerTestCase):
    def test_image_and_camera_info_share_a_capture_time(self) -> None:
        images = self.collect(Image, "/camera/image_raw")
        infos = self.collect(CameraInfo, "/camera/camera_info")
        self.wait_until(lambda: len(images) > 10 and len(infos) > 10, "ten frames")
        stamps = {(info.header.stamp.sec, info.header.stamp.nanosec) for info in infos}
        joined = [one for one in images if (one.header.stamp.sec, one.header.stamp.nanosec) in stamps]
        self.assertGreaterEqual(len(joined), 5)
        for one in images:
            self.assertEqual(one.header.frame_id, "camera_optical_frame")
            self.assertEqual(len(one.data), one.step * one.height)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
