"""Parts of the detector's contract that need other settings than the defaults, or change them; one node for all."""

from __future__ import annotations

from collections.abc import Iterator

import edgecam_detector.camera
import numpy as np
import pytest
from detecting import STAMP, Detecting, names
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data
from ros_peer import Peer
from sensor_msgs.msg import Image
from tiny_models import color_detector, quadrants
from waiting import wait_until

IMAGE = quadrants(64, 48)
DEFAULTS = {"confidence_threshold": 0.5, "max_detections": 100}
SECOND = 10**9


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detecting]:
    peer = Peer("contract_peer")
    model = color_detector(tmp_path_factory.mktemp("model") / "colors.onnx")
    subject = Detecting(peer, model, class_id_format="index", track=True)
    yield subject
    subject.close()
    peer.close()


def test_class_id_can_be_the_class_number(numbered: Detecting) -> None:
    assert names(numbered.answer(IMAGE)) == {"1", "2", "3"}


def test_an_object_keeps_its_track_id(numbered: Detecting) -> None:
    ids: list[dict[str, str]] = []
    for number in range(1, 5):
        array = numbered.answer(IMAGE, STAMP + number * SECOND // 30)
        ids.append({found.results[0].hypothesis.class_id: found.id for found in array.detections})
    assert ids[-1] == ids[-2]
    assert len(set(ids[-1].values())) == 3
    assert all(ids[-1].values())


def test_a_region_can_be_set_while_running(numbered: Detecting) -> None:
    assert numbered.set(regions=["0,0 0.5,0 0.5,0.5 0,0.5"]) == ""
    assert names(numbered.answer(IMAGE, STAMP + SECOND)) == {"1"}
    assert "three or more points" in numbered.set(regions=["0,0 1,1"])
    assert numbered.set(regions=[]) == ""
    assert names(numbered.answer(IMAGE, STAMP + 2 * SECOND)) == {"1", "2", "3"}


def test_the_threshold_of_one_class_can_be_set_while_running(numbered: Detecting) -> None:
    dim = IMAGE.copy()
    dim[..., 2] = dim[..., 2] * 0.45  # red
    assert numbered.set(confidence_threshold=0.3) == ""
    assert names(numbered.answer(dim, STAMP + 3 * SECOND)) == {"1", "2", "3"}
    # A tracked object stays above half the threshold: 0.45 is below.
    assert numbered.set(class_thresholds=["red=0.95"]) == ""
    assert names(numbered.answer(dim, STAMP + 4 * SECOND)) == {"2", "3"}
    assert numbered.set(class_thresholds=[], **DEFAULTS) == ""


def test_the_maximum_of_detections_can_be_set_while_running(numbered: Detecting) -> None:
    assert numbered.set(max_detections=1) == ""
    assert len(numbered.answer(IMAGE, STAMP + 5 * SECOND).detections) == 1
    assert numbered.set(**DEFAULTS) == ""


def test_an_overlay_is_drawn_only_while_there_are_subscribers(
    numbered: Detecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = edgecam_detector.camera.draw

    def counted(image: np.ndarray, *rest: object) -> np.ndarray:
        drawn.append(1)
        return draw(image, *rest)

    monkeypatch.setattr(edgecam_detector.camera, "draw", counted)
    numbered.answer(IMAGE)
    assert drawn == []
    seen: list[Image] = []
    # rviz2 subscribes with best effort; a reliable publisher serves both.
    watching = numbered.peer.node.create_subscription(Image, "/camera/overlay", seen.append, qos_profile_sensor_data)
    wait_until(lambda: numbered.answer(IMAGE) and seen, what="an overlay")
    numbered.peer.destroy(watching)
    wait_until(lambda: numbered.node.count_subscribers("/camera/overlay") == 0, what="the end of the subscription")
    numbered.answer(IMAGE)  # an image may still be in progress when the subscription ends
    drawn.clear()
    numbered.answer(IMAGE)
    assert drawn == []


@pytest.mark.parametrize(
    ("topic", "durability"),
    [
        ("detections", DurabilityPolicy.VOLATILE),
        ("overlay", DurabilityPolicy.VOLATILE),
        ("label_info", DurabilityPolicy.TRANSIENT_LOCAL),
        ("vision_info", DurabilityPolicy.TRANSIENT_LOCAL),
    ],
)
def test_the_publishers_qos_suits_every_subscriber(
    numbered: Detecting, topic: str, durability: DurabilityPolicy
) -> None:
    (publisher,) = numbered.peer.node.get_publishers_info_by_topic(f"/camera/{topic}")
    assert publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert publisher.qos_profile.durability == durability


def test_images_are_subscribed_with_sensor_data_qos(numbered: Detecting) -> None:
    (subscriber,) = numbered.peer.node.get_subscriptions_info_by_topic("/camera/image_raw")
    assert subscriber.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
