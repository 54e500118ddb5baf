"""pipeline.launch.xml on the shipped clip: detections carry capture times of the camera, every node is active."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from network import free_tcp_port, free_udp_port
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import Detection2DArray

from launch import LaunchDescription

NODES = ("camera_driver", "rtp_sender", "stream/rtp_receiver", "detector", "viewer")


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe(
        "pipeline", source=suite.CLIP, loop="true",
        port=free_udp_port(), viewer_port=free_tcp_port(),
    )  # fmt: skip


class TestPipeline(suite.PeerTestCase):
    def test_detections_have_names_and_the_capture_time_of_a_frame(self) -> None:
        infos = self.collect(CameraInfo, "/camera/camera_info")
        arrays = self.collect(Detection2DArray, "/camera/detections")

        def joined() -> Detection2DArray | None:
            captured = {(one.header.stamp.sec, one.header.stamp.nanosec) for one in infos}
            return next(
                (one for one in arrays
                 if one.detections and (one.header.stamp.sec, one.header.stamp.nanosec) in captured), None,
            )  # fmt: skip

        array = self.wait_until(joined, "a detection with a frame's capture time")
        self.assertEqual(array.header.frame_id, "camera_optical_frame")
        for one in array.detections:
            self.assertEqual(one.header, array.header)
            self.assertRegex(one.results[0].hypothesis.class_id, r"^[a-z][a-z ]+$")
            self.assertTrue(0.5 <= one.results[0].hypothesis.score <= 1.0)

    def test_every_node_is_active(self) -> None:
        for name in NODES:
            client = self.node.create_client(GetState, f"/camera/{name}/get_state")
            self.wait_until(client.service_is_ready, f"the lifecycle service of {name}")

            def state(client: object = client) -> int:
                future = client.call_async(GetState.Request())  # type: ignore[attr-defined]
                self.wait_until(future.done, "an answer")
                return int(future.result().current_state.id)

            self.wait_until(lambda: state() == State.PRIMARY_STATE_ACTIVE, f"{name} to be active")


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    processes = len(NODES)
