"""The whole pipeline: from a frame's capture to its detections in another process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.row import Row
from benchmarks.runs import shared
from benchmarks.support import environment
from tests.support.network import free_tcp_port, free_udp_port

SECONDS = 15


def rows() -> list[Row]:
    return [
        Row(
            "pipeline_capture_to_detection",
            "camera, H.265/RTP link, detector: capture to detections (p50)",
            "ms",
            "the same without the RTP link",
            partial(latency, True),
            partial(latency, False),
            label="Demo with the H.265/RTP link: capture to detections",
        )
    ]


def latency(rtp: bool) -> float:
    """Median age of the detections when they arrive at the monitor, in milliseconds."""
    return float(run_demo(rtp)["latency_ms"]["p50"])


@shared
def run_demo(rtp: bool, viewer_port: int = 0) -> dict[str, Any]:
    """The monitor's summary of one run of the demo; ``viewer_port`` 0 takes a free one."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [
            "ros2", "launch", "edgecam_bringup", "demo.launch.xml", f"seconds:={SECONDS}", f"summary_file:={summary}",
            f"rtp:={str(rtp).lower()}", f"port:={free_udp_port()}",
            f"viewer_port:={viewer_port or free_tcp_port()}",
        ]  # fmt: skip
        subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=SECONDS + 90)
        found: dict[str, Any] = json.loads(summary.read_text())
        return found
