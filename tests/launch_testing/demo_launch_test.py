"""demo.launch.xml: the monitor prints the page's address and the detections, and a summary at the end."""

from __future__ import annotations

import json
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import launch_testing
import pytest
import suite
from network import free_tcp_port, free_udp_port

from launch import LaunchDescription

SUMMARY = Path(tempfile.mkdtemp(prefix="edgecam-launch-test-")) / "summary.json"
PORT = free_tcp_port()
ANIMAL = re.compile(r"(?s).*\b(giraffe|cow|horse|dog|bird|sheep|bear|cat)\b")


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    port = free_udp_port()
    return suite.describe("demo", port=port, viewer_port=PORT, summary_file=SUMMARY)


class TestDemo(unittest.TestCase):
    def test_the_monitor_prints_the_address_and_an_animal(self, proc_output: Any) -> None:
        proc_output.assertWaitFor(f"http://127.0.0.1:{PORT}", timeout=suite.TIMEOUT, stream="stdout")
        proc_output.assertWaitFor(ANIMAL, timeout=suite.TIMEOUT, stream="stdout")


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    processes = 6

    def test_the_summary_counts_detections(self) -> None:
        self.assertGreater(json.loads(SUMMARY.read_text())["detections"], 0)
