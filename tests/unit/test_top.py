"""The table of ``edgecam top``."""

from __future__ import annotations

from pathlib import Path

from edgecam_viewer.node_status import NodeStatus
from edgecam_viewer.top import gpu_line, gpu_text, table


def node(name: str, level: str = "ok", **values: str) -> NodeStatus:
    return NodeStatus(name, level, "running", "", values)


def test_a_line_per_node_and_each_process_summed_once() -> None:
    lines = table([
        node("camera/detector", fps="25", latency_ms="41.2", cpu_percent="90.5", memory_mb="210", pid="7"),
        node("camera/twin", cpu_percent="90.5", memory_mb="210", pid="7"),
        node("camera/viewer", "warn", fps="0", cpu_percent="9.5", memory_mb="80", pid="8"),
    ])  # fmt: skip
    assert [line.split()[0] for line in lines] == ["NODE", "camera/detector", "camera/twin", "camera/viewer", "all"]
    assert lines[1].split()[1:] == ["ok", "25", "41.2", "90.5", "210", "running"]
    assert lines[2].split()[1:4] == ["ok", "-", "-"]
    assert lines[-1].split() == ["all", "100.0", "290"]


def test_bitrates_of_a_sender_are_shown() -> None:
    sender = node("camera/rtp_sender", target_bitrate="1500000", sent_bitrate="1234567.8", estimated_bitrate="1200000")
    deaf = node("rear/rtp_sender", target_bitrate="2000000", sent_bitrate="1990000", estimated_bitrate="nan")
    _, first, second, _ = table([sender, deaf])
    assert first.endswith("running (target 1.50, sent 1.23, estimated 1.20 Mbit/s)")
    assert second.endswith("running (target 2.00, sent 1.99 Mbit/s)")


def test_lines_are_cut_to_the_terminal() -> None:
    lines = table([NodeStatus("camera/camera_driver", "error", "x" * 500)], width=80)
    assert max(map(len, lines)) == 80


def test_nothing_yet() -> None:
    assert table([]) == ["no node has reported yet (topic /diagnostics)"]


def test_gpus(tmp_path: Path) -> None:
    assert gpu_text("NVIDIA H100, 37, 1024, 81559") == "GPU NVIDIA H100: 37 %, 1024 of 81559 MiB"
    load = tmp_path / "load"
    load.write_text("423\n")
    assert gpu_line(load) == ["GPU 42 %"]
