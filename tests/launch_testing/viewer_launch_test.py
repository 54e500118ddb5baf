"""viewer.launch.xml: the page is served, and only the page."""

from __future__ import annotations

import unittest
import urllib.error
import urllib.request

import launch_testing
import pytest
import suite
from network import free_tcp_port

from launch import LaunchDescription

PORT = free_tcp_port()


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    return suite.describe("viewer", port=PORT)


def get(path: str) -> tuple[int, bytes]:
    """HTTP status and body; (0, empty) while no server listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


class TestViewer(suite.PeerTestCase):
    def test_the_page_is_served_and_no_other_file(self) -> None:
        status, body = self.wait_until(lambda: (answer := get("/"))[0] and answer, "the page")
        self.assertEqual(status, 200)
        self.assertIn(b"<html", body.lower())
        self.assertIn(get("/..%2f..%2fetc/passwd")[0], (400, 403, 404))


@launch_testing.post_shutdown_test()
class TestEnd(suite.CleanEnd, unittest.TestCase):
    pass
