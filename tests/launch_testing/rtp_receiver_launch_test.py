"""rtp_receiver.launch.xml behind rtp_sender.launch.xml: frames come back with their capture time."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from network import free_udp_port
from sensor_msgs.msg import Image

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    port = free_udp_port()
    return suite.describe("rtp_receiver", "rtp_sender", port=port)


class TestReceiver(suite.PeerTestCase):
    def test_capture_time_frame_and_size_survive_the_link(self) -> None:
        sent, received = self.wait_for_frame_to_return(Image, "/camera/stream/image_raw")
        self.assertEqual(received.header.frame_id, "camera_optical_frame")
        self.assertEqual((received.width, received.height), (sent.width, sent.height))
        # The bright square is in place: its middle, and a corner of the frame, within the codec's error.
        row = bytes(received.data[120 * received.step : 121 * received.step])
        self.assertAlmostEqual(row[3 * 120], 0xD0, delta=12)
        self.assertAlmostEqual(row[3 * 10], 0x60, delta=12)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    processes = 2
