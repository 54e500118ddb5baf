"""A detector node in this process with a peer on the other side of DDS. Needs ROS."""

from __future__ import annotations

import contextlib
import itertools
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgecam_core.types import Frame
from edgecam_detector.node import DetectorNode
from edgecam_ros.conversions import image_to_ros, stamp_from_ns
from edgecam_ros.qos import image_qos
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_peer import Peer
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray
from waiting import DISCOVERY, wait_until

STAMP = 1_700_000_000_123_456_789
SENT = 0.1  # seconds between images that are sent until there is a report, which comes once a second


class Detecting:
    """A detector node in this process with a peer that sends it images; ``loads``: whether its model can be loaded."""

    def __init__(self, peer: Peer, model: Path, *, loads: bool = True, **parameters: Any) -> None:
        given = {"model": str(model), "backend": "onnxruntime", "threads": 1, "tune": False, **parameters}
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.node = DetectorNode(namespace="/camera", parameter_overrides=overrides)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.peer = peer
        self._stamps = itertools.count(STAMP + 1)
        topics = {name: f"/camera/{name}/" if name else "/camera/" for name in parameters.get("cameras", [""])}
        self.found: dict[str, list[Detection2DArray]] = {
            name: peer.collect(Detection2DArray, f"{topic}detections") for name, topic in topics.items()
        }
        self.publishers = {
            name: peer.node.create_publisher(Image, f"{topic}image_raw", image_qos()) for name, topic in topics.items()
        }
        self.arrays, self.images = next(iter(self.found.values())), next(iter(self.publishers.values()))
        self.thread.start()
        if loads:
            wait_until(lambda: self.node._worker and self.node._worker.detector, what="the model")
        for name, topic in topics.items():
            wait_until(self.publishers[name].get_subscription_count, what="the detector's subscription")
            wait_until(partial(peer.node.count_publishers, f"{topic}detections"), what="its publisher")

    def send(self, pixels: np.ndarray, stamp: int = STAMP, camera: str = "") -> None:
        frame = Frame.from_array(pixels, "bgr8", stamp, camera or "camera_optical_frame")
        self.publishers[camera].publish(image_to_ros(frame))

    def answer(self, pixels: np.ndarray, stamp: int | None = None) -> Detection2DArray:
        """The detections with the stamp of this image; the image is sent again, because discovery may have lost it."""
        stamp = next(self._stamps) if stamp is None else stamp
        expected, seen = stamp_from_ns(stamp), len(self.arrays)
        for _ in range(int(DISCOVERY)):
            self.send(pixels, stamp=stamp)
            with contextlib.suppress(pytest.fail.Exception):
                return wait_until(
                    lambda: next((each for each in self.arrays[seen:] if each.header.stamp == expected), None), 1.0
                )
        pytest.fail("no detections arrived")

    def set(self, **values: Any) -> str:
        """Set parameters through the service; returns the reason of a refusal, or an empty text."""
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        answer = self.peer.call(SetParameters, "/camera/detector/set_parameters", request)
        return "; ".join(result.reason for result in answer.results if not result.successful)

    def refusal(self) -> str:
        """Why the model cannot be loaded; empty if that is not known (yet)."""
        worker = self.node._worker  # None before the node is configured
        return str(worker.problem or "") if worker is not None else ""

    def cycle_lifecycle(self) -> None:
        """Run the transitions of a lifecycle manager on the executor's thread."""
        done: list[str] = []

        def round_trip() -> None:
            node = self.node
            node.destroy_timer(timer)
            for step in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure, node.trigger_activate):
                step()
            done.append(node.state_label())

        timer = self.node.create_timer(0.0, round_trip)
        assert wait_until(lambda: done, what="the transitions") == ["active"]

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(60)
        self.node.trigger_shutdown()
        self.node.destroy_node()


def names(array: Detection2DArray) -> set[str]:
    return {detection.results[0].hypothesis.class_id for detection in array.detections}
