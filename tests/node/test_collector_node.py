"""The collector over real DDS: frames and detections in, a data set out."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_collector.node import CollectorNode
from edgecam_core.collect.collection import Collection
from edgecam_core.types import Detections, Frame
from edgecam_ros.conversions import header_to_ros, image_to_ros
from edgecam_ros.detections import detections_to_ros
from edgecam_ros.qos import image_qos, latched_qos
from rclpy.parameter import Parameter
from ros_peer import Peer
from running import running
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray, VisionInfo
from waiting import wait_until

SECOND = 1_000_000_000


class CollectorScene:
    """A collector in ``/camera`` and a peer that sends it frames with detections."""

    def __init__(self, peer: Peer, node: CollectorNode, folder: Path) -> None:
        self.peer, self.node, self.folder = peer, node, folder
        create = peer.node.create_publisher
        self.images = create(Image, "/camera/image_raw", image_qos())
        self.compressed = create(CompressedImage, "/camera/image_raw/compressed", image_qos())
        self.detections = create(Detection2DArray, "/camera/detections", 10)
        self.shadow = create(Detection2DArray, "/camera/shadow/detections", 10)
        self.vision = create(VisionInfo, "/camera/vision_info", latched_qos())
        self._stamps = itertools.count(1_700_000_000)
        wait_until(self.detections.get_subscription_count, what="the collector's subscription")

    def pixels(self, number: int) -> np.ndarray:
        return np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8).repeat(20, 0).repeat(20, 1)

    def found(self, score: float, label: str = "cat") -> Detections:
        box = np.array([[10, 20, 60, 80]], np.float32)
        return Detections(box, np.array([score], np.float32), np.array([0], np.int32), (label,))

    def send(self, score: float, *, compressed: bool = False, shadow: str = "") -> int:
        """Send a new frame with its detections; returns its stamp in nanoseconds."""
        number = next(self._stamps)
        stamp = number * SECOND
        header = header_to_ros(stamp, "lens")
        frame = Frame.from_array(self.pixels(number), "bgr8", stamp, "lens")
        if compressed:
            data = cv2.imencode(".jpg", frame.bgr())[1].tobytes()
            self.compressed.publish(CompressedImage(header=header, format="jpeg", data=data))
        else:
            self.images.publish(image_to_ros(frame))
        self.detections.publish(detections_to_ros(self.found(score), header))
        if shadow:
            self.shadow.publish(detections_to_ros(self.found(score, shadow), header))
        return stamp

    def kept(self) -> list[int]:
        return [frame.stamp_ns for frame in Collection.open(self.folder).frames()]

    def send_until_kept(self, score: float, **values: object) -> int:
        """Send frames (discovery may lose the first ones) until one is kept; returns the number kept."""

        def one_more() -> int:
            self.send(score, **values)  # type: ignore[arg-type]
            with contextlib.suppress(pytest.fail.Exception):
                return wait_until(lambda: len(self.kept()), 1.0)
            return 0

        return wait_until(one_more, 120, "a kept frame")


@pytest.fixture
def scene(peer: Peer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CollectorScene]:
    values = {"directory": str(tmp_path / "c"), "min_free_megabytes": 0.0, "rules": ["uncertain"]}
    values |= getattr(request, "param", {})
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with running(CollectorNode(namespace="/camera", parameter_overrides=overrides)) as node:
        yield CollectorScene(peer, node, tmp_path / "c")


def test_an_uncertain_frame_is_kept_with_its_own_stamp(scene: CollectorScene) -> None:
    scene.vision.publish(VisionInfo(method="ssd, onnxruntime", database_version=3))
    wait_until(lambda: scene.node._collector and scene.node._collector.model, what="the model's name")
    scene.send_until_kept(0.45)
    frame = next(Collection.open(scene.folder).frames())
    assert frame.model == {"method": "ssd, onnxruntime", "version": "3"}
    assert (frame.frame_id, frame.camera) == ("lens", "camera")
    assert [box.label for box in frame.proposals] == ["cat"]
    stored = cv2.imread(str(scene.folder / frame.image))
    assert np.abs(stored.astype(int) - scene.pixels(frame.stamp_ns // SECOND)).mean() < 6
    before = len(scene.kept())
    certain = [scene.send(0.9) for _ in range(3)]
    scene.send(0.45)
    wait_until(lambda: len(scene.kept()) > before, what="the next uncertain frame")
    assert not set(certain) & set(scene.kept())


@pytest.mark.parametrize("scene", [{"image_format": "source"}], indirect=True)
def test_source_bytes_are_those_of_the_camera(scene: CollectorScene) -> None:
    scene.send_until_kept(0.45, compressed=True)
    frame = next(Collection.open(scene.folder).frames())
    expected = cv2.imencode(".jpg", scene.pixels(frame.stamp_ns // SECOND))[1].tobytes()
    assert (scene.folder / frame.image).read_bytes() == expected


@pytest.mark.parametrize("scene", [{"rules": ["disagree"]}], indirect=True)
def test_models_that_disagree_keep_the_frame(scene: CollectorScene) -> None:
    wait_until(scene.shadow.get_subscription_count, what="the subscription of the shadow model's detections")
    scene.send_until_kept(0.9, shadow="dog")
    before = len(scene.kept())
    agreed = [scene.send(0.9, shadow="cat") for _ in range(2)]
    scene.send(0.9, shadow="dog")
    wait_until(lambda: len(scene.kept()) > before, what="the next frame they disagree on")
    assert not set(agreed) & set(scene.kept())


@pytest.mark.parametrize("scene", [{"rules": ["interval"]}], indirect=True)
def test_a_frame_is_kept_on_request(scene: CollectorScene) -> None:
    wait_until(scene.images.get_subscription_count, what="the subscription of the frames")
    timer = scene.peer.node.create_timer(0.2, lambda: scene.send(0.9))
    try:
        answer = scene.peer.call(Trigger, "/camera/collector/keep", Trigger.Request())
    finally:
        scene.peer.destroy(timer)
    assert answer.success, answer.message
    frame = Collection.open(scene.folder).frame(answer.message)
    assert frame.rules[0]["rule"] == "request"


def test_garbage_is_counted_and_the_next_frame_is_kept(scene: CollectorScene) -> None:
    scene.send_until_kept(0.45)
    before = len(scene.kept())
    scene.images.publish(Image(width=9, height=9, encoding="bgr8", step=1, data=[0]))
    bad = detections_to_ros(scene.found(0.45), header_to_ros(5, ""))
    bad.detections[0].bbox.size_x = float("nan")
    scene.images.publish(image_to_ros(Frame.from_array(scene.pixels(5), "bgr8", 5)))
    scene.detections.publish(bad)
    scene.send(0.45)
    wait_until(lambda: len(scene.kept()) >= before + 1, what="the frame after the garbage")
    collector = scene.node._collector
    assert collector is not None
    assert wait_until(lambda: "proposal outside the image" in collector.counters.totals(), what="the count")
