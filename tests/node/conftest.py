"""What node tests share: an own DDS domain, a peer node that spins in a thread, waiting for events."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# Before rclpy is imported anywhere: nothing outside this machine and no other test run may be met.
os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 200))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

DISCOVERY = 15.0  # seconds; on localhost discovery alone takes up to 4


class Peer:
    """A plain rclpy node on the other side of the topics, spinning in its own thread."""

    def __init__(self, name: str = "test_peer") -> None:
        self.node = Node(name)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def collect(self, message_type: type, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message of a topic."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def call(self, service_type: type, name: str, request: Any, timeout: float = DISCOVERY) -> Any:
        """Call a service and give its response; fails the test when there is none in time."""
        client = self.node.create_client(service_type, name)
        assert client.wait_for_service(timeout), f"no service {name}"
        future = client.call_async(request)
        wait_until(future.done, timeout, f"an answer of {name}")
        return future.result()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()


def wait_until(condition: Callable[[], Any], timeout: float = DISCOVERY, what: str = "the event") -> Any:
    """The condition's first true value; fails the test when it does not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"waited {timeout} s in vain for {what}")


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()
