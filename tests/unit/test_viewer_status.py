"""The figures on the page: stages and losses from the nodes' reports."""

from __future__ import annotations

import json

import pytest
from edgecam_viewer.node_status import NodeStatus
from edgecam_viewer.status import CameraStats, best_scores, stage_facts


def node(name: str, level: str = "ok", **values: str) -> NodeStatus:
    return NodeStatus(name, level, "running", values=values)


def test_stages_and_losses_of_one_namespace() -> None:
    nodes = [
        node("front/detector", fps="24.5", **{"dropped for a newer one": "7"}),
        node("front/stream/rtp_receiver", fps="25", missing="12", lost="3", refused="-"),
        node("front/rtp_sender", fps="25", frames_skipped="0", target_bitrate="2e6", sent_bitrate="1.9e6"),
        node("front/camera_driver", fps="-", drops="1", recording="7 frames"),
        node("rear/camera_driver", fps="9"),
    ]
    facts = stage_facts(nodes, "front")
    assert list(facts["stages"].items()) == [("sender", 25.0), ("receiver", 25.0), ("detector", 24.5)]
    assert facts["losses"] == {
        "camera drops": 1, "encoder skips": 0, "packets missing": 12, "packets lost": 3, "detector drops": 7,
    }  # fmt: skip
    assert facts["bitrates"] == {"target_bitrate": 2e6, "sent_bitrate": 1.9e6}
    assert facts["recording"] == "7 frames"


def test_a_stage_without_frames_is_left_out() -> None:
    assert stage_facts([node("camera/detector", "stale", fps="25")], "camera") == {
        "stages": {}, "losses": {}, "bitrates": {}, "recording": "",
    }  # fmt: skip


def test_the_figures_of_a_camera_are_json_before_the_first_frame() -> None:
    stats = CameraStats("camera")
    empty = json.loads(json.dumps(stats.as_dict(0.0), allow_nan=False))
    assert empty["latency_ms"] is None
    assert empty["fps"] == 0
    for n in range(11):
        stats.frame(n / 10)
        stats.found([["cat", 0.5, 0, 0, 1, 1, ""], ["cat", 0.9, 0, 0, 1, 1, ""]], 0.04, n / 10)
    full = stats.as_dict(1.0)
    assert full["fps"] == pytest.approx(10, rel=0.1)
    assert (full["latency_ms"], full["labels"]) == (40.0, ["cat"])


def test_the_best_score_of_each_label_comes_first() -> None:
    found = [["cow", 0.4, 0, 0, 1, 1, ""], ["cat", 0.6, 0, 0, 1, 1, ""], ["cow", 0.8, 0, 0, 1, 1, ""]]
    assert list(best_scores(found).items()) == [("cow", 0.8), ("cat", 0.6)]
