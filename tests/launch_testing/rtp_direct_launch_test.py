"""rtp_direct.launch.xml: a camera's frames leave as RTP packets without a frame on DDS."""

from __future__ import annotations

import socket
import unittest

import launch_testing
import pytest
import suite

from launch import LaunchDescription

RECEIVER = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
RECEIVER.bind(("127.0.0.1", 0))
RECEIVER.setblocking(False)


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("rtp_direct", port=RECEIVER.getsockname()[1], image_width=320, image_height=240)


class TestDirect(suite.PeerTestCase):
    def test_frames_leave_as_rtp(self) -> None:
        def packet() -> bytes | None:
            try:
                return RECEIVER.recv(2000)
            except BlockingIOError:
                return None

        data = self.wait_until(packet, "an RTP packet")
        self.assertEqual(data[0] >> 6, 2, "RTP version (RFC 3550)")
        self.assertEqual(self.node.count_subscribers("/camera/image_raw"), 0)


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
