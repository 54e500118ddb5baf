"""A process ends even if DDS does not."""

from __future__ import annotations

import subprocess
import sys

import pytest


def ended(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    setup = "import ctypes, sys, time\nfrom edgecam_ros import ending\n"
    command = [sys.executable, "-c", setup + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


HANGS = """
def destroy():
    ctypes.PyDLL(None).pause()  # with Python's lock held, as in rclpy

ending.LIMIT = 0.5
if len(sys.argv) > 1:
    ending.end_with(int(sys.argv[1]))
ending.bounded()(destroy)()
"""


@pytest.mark.parametrize(("given", "exit_code"), [((), 1), ((0,), 0), ((2,), 2)])
def test_a_call_that_does_not_return_ends_the_process_with_its_exit_code_and_stacks(
    given: tuple[int, ...], exit_code: int
) -> None:
    done = ended(HANGS, *given)
    assert done.returncode == exit_code
    assert done.stderr.startswith("Timeout (0:00:00.500000)!")
    assert "in destroy" in done.stderr


RETURNS = """
ending.LIMIT = 3.0  # and the process would end a second later: the sleep is longer
with ending.bounded():
    pass
time.sleep(4.5)
sys.exit(7)
"""


def test_a_call_that_returns_is_left_alone() -> None:
    done = ended(RETURNS)
    assert (done.returncode, done.stderr) == (7, "")


NESTED = """
@ending.bound_calls
class Node:
    def create_client(self):
        self.create_service()
        ctypes.PyDLL(None).pause()
    def create_service(self): pass
    create_publisher = create_subscription = destroy_node = create_service
    destroy_publisher = destroy_subscription = destroy_service = destroy_client = create_service

ending.LIMIT = 0.5
Node().create_client()
"""


def test_a_call_of_a_node_is_bounded_also_after_a_call_within_it() -> None:
    done = ended(NESTED)
    assert done.returncode == 1
    assert "in create_client" in done.stderr
