"""rtp_sender.launch.xml: frames leave as RTP packets that any receiver can read."""

from __future__ import annotations

import socket
import unittest

import launch_testing
import pytest
import suite
from sensor_msgs.msg import Image

from launch import LaunchDescription

RECEIVER = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
RECEIVER.bind(("127.0.0.1", 0))
RECEIVER.setblocking(False)


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("rtp_sender", host="127.0.0.1", port=RECEIVER.getsockname()[1])


class TestSender(suite.PeerTestCase):
    def test_frames_leave_as_rtp(self) -> None:
        publisher = self.node.create_publisher(Image, "/camera/image_raw", 5)

        def packet() -> bytes | None:
            message = suite.frame()
            message.header.stamp = self.node.get_clock().now().to_msg()
            publisher.publish(message)
            try:
                return RECEIVER.recv(2000)
            except BlockingIOError:
                return None

        data = self.wait_until(packet, "an RTP packet")
        self.assertEqual(data[0] >> 6, 2, "RTP version (RFC 3550)")
        self.assertEqual(data[1] & 0x7F, 96, "payload type")
        self.assertLessEqual(len(data), 1400)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
