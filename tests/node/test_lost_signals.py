"""A signal whose exception is lost in a destructor or in rclpy still ends a command."""

from __future__ import annotations

import signal
import sys

import forked
import pytest
from edgecam_ros.command_node import stopped_by_signals

INTERRUPTED_IN_DEL = """
import argparse, signal
from ros2cli.graph.node import command_node, spin_until

class Loser:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

with command_node(argparse.Namespace()) as node:
    timer = node.create_timer(0.01, Loser)
    try:
        spin_until(node, lambda: False)
    except KeyboardInterrupt:
        node.destroy_timer(timer)
        print("ended")
"""


def test_an_interrupt_lost_in_a_destructor_still_ends_the_command() -> None:
    ended = forked.run([sys.executable, "-c", INTERRUPTED_IN_DEL], capture_output=True, timeout=120)
    assert b"Exception ignored in: <function Loser.__del__" in ended.stderr
    assert (ended.returncode, ended.stdout) == (0, b"ended\n"), ended.stderr


INTERRUPTED_IN_RCLPY = """
import argparse, contextlib, signal
from ros2cli.graph.node import command_node

try:
    with command_node(argparse.Namespace()) as node:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Unable to convert call argument '0' to Python object")
except KeyboardInterrupt:
    print("ended")
"""


def test_an_interrupt_that_rclpy_reports_as_another_error_still_ends_the_command() -> None:
    ended = forked.run([sys.executable, "-c", INTERRUPTED_IN_RCLPY], capture_output=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"ended\n", b"")


class Interrupted:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("error")
def test_a_signal_in_a_destructor_is_not_lost() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_signals() as stopping:
        Interrupted()
    assert stopping == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before
