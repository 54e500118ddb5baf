"""monitor.launch.xml: one line per second on the terminal, even if no other node runs."""

from __future__ import annotations

import unittest
from typing import Any

import launch_testing
import pytest
import suite

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("monitor")


class TestMonitor(unittest.TestCase):
    def test_it_prints(self, proc_output: Any) -> None:
        proc_output.assertWaitFor("waiting for the nodes", timeout=suite.TIMEOUT, stream="stdout")


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
