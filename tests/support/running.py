"""Runs an edgecam node inside the test process. Needs ROS; set the domain before importing this."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from edgecam_ros.node import EdgecamNode
from rclpy.executors import SingleThreadedExecutor
from waiting import wait_until

N = TypeVar("N", bound=EdgecamNode)


@contextmanager
def spinning(node: N) -> Iterator[N]:
    """Spins the node in a separate thread, and shuts it down at the end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(60)
        node.trigger_shutdown()
        node.destroy_node()


@contextmanager
def running(node: N) -> Iterator[N]:
    """Spins the node as ``spinning`` does; waits until it is active."""
    with spinning(node):
        wait_until(lambda: node.state_label() == "active", what=f"{node.get_name()} to be active")
        yield node
