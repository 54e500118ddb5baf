"""A shadow model next to the live one: its own topic, agreement in the diagnostics, no influence on the live one."""

from __future__ import annotations

import json
from pathlib import Path

from detecting import Detecting, names
from diagnostic_msgs.msg import DiagnosticArray
from edgecam_core.errors import ModelError
from edgecam_core.models.agreement import compare
from edgecam_core.types import Detection
from edgecam_detector.node import DetectorNode
from rclpy.parameter import Parameter
from ros_peer import Peer
from tiny_models import color_detector, quadrants
from vision_msgs.msg import Detection2DArray
from waiting import DISCOVERY, wait_until

LONG = 2 * DISCOVERY


def shadowed(peer: Peer, folder: Path, labels: list[str]) -> Detecting:
    facts = {"labels": json.dumps(["BACKGROUND", *labels])}
    shadow = color_detector(folder / "shadow.onnx", metadata=facts)
    return Detecting(peer, color_detector(folder / "live.onnx"), shadow_model=str(shadow))


def agreement(arrays: list[DiagnosticArray]) -> dict[str, str]:
    for array in reversed(arrays):
        for status in array.status:
            found = {pair.key: pair.value for pair in status.values if pair.key.startswith("shadow_agreement/")}
            if found:
                return found
    return {}


def test_a_shadow_that_disagrees_is_counted_and_published(peer: Peer, tmp_path: Path) -> None:
    subject = shadowed(peer, tmp_path, ["red", "green", "purple"])
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    shadow = peer.collect(Detection2DArray, "/camera/shadow/detections")
    try:

        def seen() -> bool:
            assert names(subject.answer(quadrants(32, 32))) == {"red", "green", "blue"}
            return bool(shadow) and "shadow_agreement/purple" in agreement(diagnostics)

        wait_until(seen, LONG, "the shadow's detections and its agreement")
    finally:
        subject.close()
    assert names(shadow[-1]) == {"red", "green", "purple"}
    stamps = {(array.header.stamp.sec, array.header.stamp.nanosec) for array in subject.arrays}
    assert (shadow[-1].header.stamp.sec, shadow[-1].header.stamp.nanosec) in stamps
    reported = agreement(diagnostics)
    both, found = reported["shadow_agreement/red"].split(" of ")
    assert both == found != "0"
    assert reported["shadow_agreement/purple"].startswith("0 of ")
    assert reported["shadow_agreement/blue"].startswith("0 of ")


def test_a_shadow_that_cannot_be_loaded_is_reported_and_the_live_model_works(peer: Peer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    subject = Detecting(peer, color_detector(tmp_path / "live.onnx"), shadow_model=str(broken))
    diagnostics = peer.collect(DiagnosticArray, "/diagnostics")
    try:
        assert names(subject.answer(quadrants(32, 32))) == {"red", "green", "blue"}
        wait_until(
            lambda: any("shadow model:" in status.message for array in diagnostics for status in array.status),
            LONG,
            "the reason in the diagnostics",
        )
    finally:
        subject.close()


def test_an_object_is_matched_once_and_only_within_its_label() -> None:
    def one(label: str, x: float) -> Detection:
        return Detection(label, 0, 0.9, (x, 0.0, x + 10, 10.0))

    both, live, shadow = compare([one("cat", 0), one("cat", 1), one("dog", 50)], [one("cat", 0), one("pig", 50)])
    assert (dict(both), dict(live), dict(shadow)) == ({"cat": 1}, {"cat": 1, "dog": 1}, {"pig": 1})


def test_a_missing_shadow_model_is_refused(tmp_path: Path) -> None:
    live = color_detector(tmp_path / "live.onnx")
    values = {"model": str(live), "shadow_model": "/nowhere.onnx"}
    node = DetectorNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    try:
        node.trigger_configure()
        assert isinstance(node.problem, ModelError)
        assert "/nowhere.onnx" in str(node.problem)
    finally:
        node.destroy_node()
