"""collector.launch.xml: the node runs and reports to /diagnostics."""

from __future__ import annotations

import unittest

import launch_testing
import pytest
import suite
from diagnostic_msgs.msg import DiagnosticArray

from launch import LaunchDescription


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("collector")


class TestCollector(suite.PeerTestCase):
    def test_it_reports(self) -> None:
        reports = self.collect(DiagnosticArray, "/diagnostics")
        self.wait_until(
            lambda: any(status.name == "camera/collector" for one in reports for status in one.status), "its report"
        )


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
