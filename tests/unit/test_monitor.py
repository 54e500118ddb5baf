"""The monitor's counters and lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edgecam_viewer.monitor import Monitor, Reservoir, Summary, write_summary
from edgecam_viewer.node_status import FORGET_AFTER, STALE_AFTER, NodeStatus, NodeStatusTable

GIRAFFE = ["giraffe", 0.97, 0.0, 0.0, 9.0, 9.0, ""]
COW = ["cow", 0.88, 0.0, 0.0, 9.0, 9.0, ""]


def node(name: str, fps: str, at: float = 0.0, level: str = "ok") -> NodeStatus:
    return NodeStatus(name, level, "running", "", {"fps": fps}, at)


def test_a_line_names_stages_in_the_order_of_the_frame() -> None:
    monitor = Monitor("/camera", 0.0)
    for n in range(31):
        monitor.found([COW, GIRAFFE, COW], 0.048, n / 30)
    rates = {"rtp_sender": "29.97", "stream/rtp_receiver": "29.9", "camera_driver": "30"}
    nodes = [node(f"camera/{name}", fps) for name, fps in rates.items()]
    line = monitor.line([*nodes, node("other/rtp_sender", "5")], 1.0)
    assert line == "camera 30.0  sender 30.0  receiver 29.9  detector 30.0 fps | 48 ms | giraffe 0.97, cow 0.88"


def test_the_line_before_the_first_detection_says_so() -> None:
    monitor = Monitor("", 0.0)
    assert monitor.line([], 1.0) == "waiting for the nodes"
    assert monitor.line([node("camera_driver", "12.5")], 2.0) == "camera 12.5 fps | no detections yet"


def test_stale_nodes_are_left_out() -> None:
    monitor = Monitor("/camera", 0.0)
    assert monitor.line([node("camera/rtp_sender", "30", level="stale")], 1.0) == "waiting for the nodes"


def test_empty_arrays_count_as_frames_but_not_as_success() -> None:
    monitor = Monitor("/camera", 0.0)
    monitor.found([], 0.05, 1.0)
    summary = monitor.summary(10.0)
    assert (summary.arrays, summary.detections, summary.exit_code) == (1, 0, 1)


def test_the_summary_holds_means_percentiles_and_labels() -> None:
    monitor = Monitor("/camera", 0.0)
    for n in range(101):
        monitor.found([GIRAFFE, COW, COW], n / 1000, n / 25)
    for fps in ("0", "20", "30"):  # the zero of the start is not part of the mean
        monitor.line([node("camera/camera_driver", fps)], 4.0)
    summary = monitor.summary(5.0)
    assert summary.as_dict() == {
        "seconds": 5.0, "arrays": 101, "detections": 303, "fps": {"camera": 25.0, "detector": 25.0},
        "latency_ms": {"p50": 50.0, "p95": 95.0}, "labels": {"cow": 202, "giraffe": 101},
    }  # fmt: skip
    assert summary.exit_code == 0
    assert "101 frames" in summary.lines()[0]


def test_a_run_without_detections_is_reported() -> None:
    summary = Monitor("/camera", 0.0).summary(20.0)
    assert summary.exit_code == 1
    assert summary.lines() == ["summary: no detections arrived in 20 s"]
    assert json.loads(json.dumps(summary.as_dict()))["latency_ms"] == {"p50": None, "p95": None}


def test_the_summary_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")
    summary = Summary(1.0, 2, 3, {"camera": 30.0}, 10.0, 20.0, {"cow": 3})
    write_summary(summary, str(path))
    assert json.loads(path.read_text()) == summary.as_dict()
    assert list(tmp_path.iterdir()) == [path]


def test_a_summary_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_summary(Summary(1.0, 0, 0, {}, None, None, {}), str(tmp_path / "missing" / "summary.json"))


def test_percentiles_of_a_long_run_stay_right_in_bounded_memory() -> None:
    reservoir = Reservoir(capacity=100)
    for n in range(10_000):
        reservoir.add(float(n))
    assert reservoir.percentile(50) == pytest.approx(5000, rel=0.05)
    assert reservoir.percentile(95) == pytest.approx(9500, rel=0.05)


def test_a_silent_node_becomes_stale_and_is_forgotten() -> None:
    nodes = NodeStatusTable()
    nodes.put(node("camera/detector", "30", at=10.0))
    assert nodes.nodes(10.0 + STALE_AFTER)[0].level == "ok"
    old = nodes.nodes(10.0 + STALE_AFTER + 1)[0]
    assert (old.level, old.message) == ("stale", "no report for 5 s (was: running)")
    assert nodes.nodes(10.0 + FORGET_AFTER) == []


def test_two_nodes_of_one_name_are_shown_with_host_and_process() -> None:
    nodes = NodeStatusTable()
    for now in (10.0, 11.0):
        for host, pid in (("jetson", "7"), ("laptop", "7")):
            values = {"host": host, "pid": pid}
            nodes.put(NodeStatus("camera/detector", "ok", "running", values=values, at=now))
    first, second = nodes.nodes(11.5)
    assert [one.name for one in (first, second)] == [
        "camera/detector on jetson (pid 7)",
        "camera/detector on laptop (pid 7)",
    ]
    assert first.level == "error"
    assert first.message.startswith(
        "2 nodes are named /camera/detector: jetson (pid 7), laptop (pid 7); their topics mix: stop"
    )


def test_a_node_that_was_started_again_is_one_node() -> None:
    nodes = NodeStatusTable()
    nodes.put(NodeStatus("camera/detector", "ok", "running", values={"pid": "7"}, at=10.0))
    nodes.put(NodeStatus("camera/detector", "ok", "running", values={"pid": "8"}, at=11.0))
    (one,) = nodes.nodes(11.1)
    assert (one.name, one.level, one.values["pid"]) == ("camera/detector", "ok", "8")


def test_two_nodes_of_one_name_that_stopped_are_one_stale_row() -> None:
    nodes = NodeStatusTable()
    for now in (10.0, 11.0):
        for pid in ("7", "8"):
            nodes.put(NodeStatus("camera/detector", "ok", "running", values={"pid": pid}, at=now))
    assert [one.level for one in nodes.nodes(11.0)] == ["error", "error"]
    assert [(one.name, one.level) for one in nodes.nodes(20.0)] == [("camera/detector", "stale")]


def test_values_that_are_not_numbers_are_none() -> None:
    one = NodeStatus("n", "ok", "", values={"fps": "-", "n": "3"})
    assert (one.number("fps"), one.number("n"), one.number("none")) == (None, 3.0, None)
