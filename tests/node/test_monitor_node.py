"""The monitor as a process: lines, summary file, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import forked
from viewer_scene import ViewerScene
from waiting import wait_until

RUN = "import sys; from edgecam_viewer.monitor_node import main; sys.exit(main())"


def start(*parameters: str) -> subprocess.Popen[str]:
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    command = [sys.executable, "-c", RUN, "--ros-args", "-r", "__ns:=/camera", *arguments]
    return forked.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_it_prints_a_line_a_second_and_a_summary_and_ends_with_0(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with ViewerScene("/camera", fps=5) as scene:

        def output_of_one_run() -> str:
            """Of a run in which discovery left time for detections."""
            process = start("seconds:=10.0", f"summary_file:={path}", "viewer_url:=http://127.0.0.1:8080")
            output, errors = process.communicate(timeout=300)
            arrived = json.loads(path.read_text())["arrays"]
            assert process.returncode == (0 if arrived else 1), errors
            return output if arrived and "giraffe" in output else ""

        output = wait_until(output_of_one_run, what="detections")
    lines = output.splitlines()
    assert lines[0] == "viewer: http://127.0.0.1:8080"
    assert any("giraffe 0.97, zebra 0.55" in line and "detector " in line for line in lines), output
    summary = json.loads(path.read_text())
    assert 0 < summary["arrays"] <= scene.count
    assert summary["labels"] == {"giraffe": summary["arrays"], "zebra": summary["arrays"]}
    assert summary["detections"] == 2 * summary["arrays"]
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p95"]
    assert summary["fps"]["detector"] > 0


def test_without_detections_it_ends_with_1() -> None:
    process = start("seconds:=2.0")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert output.splitlines()[-1] == "summary: no detections arrived in 2 s"


def test_ctrl_c_prints_the_summary_and_ends_with_0(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    process = start(f"summary_file:={path}")
    assert process.stdout is not None
    assert "waiting for the nodes" in process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "summary: " in output
    assert "Traceback" not in errors
    assert json.loads(path.read_text())["arrays"] == 0


def test_a_summary_file_in_a_missing_directory_is_refused_at_the_start(tmp_path: Path) -> None:
    process = start(f"summary_file:={tmp_path}/missing/summary.json")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "'summary_file'" in errors
    assert "directory does not exist" in errors


def test_a_closed_output_pipe_does_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    process = start("seconds:=3.0", "interval:=0.2", f"summary_file:={path}")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 1
    wait_until(path.exists)
