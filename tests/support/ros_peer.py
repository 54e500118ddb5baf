"""A plain rclpy node on the other side of the topics. Needs ROS; set the domain before importing this."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from edgecam_ros.ending import bound_calls
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from waiting import DISCOVERY, wait_until

AGAIN = 4.0  # seconds; longer than any request takes
bound_calls(
    Node
)  # a deadlock of Fast DDS ends this process, which it would block for ever; pytest-xdist starts another


class Peer:
    """Spins in a separate thread until it is closed. Without a context it is in that of ``rclpy.init()``."""

    def __init__(self, name: str = "test_peer", context: Context | None = None) -> None:
        self.node = Node(name, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def collect(self, message_type: type, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message of a topic."""
        received: list[Any] = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def client(self, service_type: type, name: str, timeout: float = DISCOVERY) -> Callable[[Any], Any]:
        """A function that calls the service and returns its response; fails the test if there is none in time.

        A server may respond before it has discovered the client; that response is lost. The request is therefore
        repeated after a while.
        """
        client: Any = self.node.create_client(service_type, name)
        assert client.wait_for_service(timeout), f"no service {name}"

        def call(request: Any) -> Any:
            sent, futures = time.monotonic(), [client.call_async(request)]

            def answered() -> Any:
                if time.monotonic() > sent + AGAIN * len(futures):
                    futures.append(client.call_async(request))
                return next((future for future in futures if future.done()), None)

            return wait_until(answered, timeout, f"a response from {name}").result()

        return call

    def call(self, service_type: type, name: str, request: Any, timeout: float = DISCOVERY) -> Any:
        """As ``client``, for one request."""
        return self.client(service_type, name, timeout)(request)

    def destroy(self, entity: Timer | Subscription) -> None:
        """Destroy it in the executor's thread, which otherwise fails if it is about to wait for it."""
        destroy: Callable[[Any], bool]
        destroy = self.node.destroy_timer if isinstance(entity, Timer) else self.node.destroy_subscription
        wait_until(self._executor.create_task(destroy, entity).done, what=f"the end of {entity}")

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(60)
        self.node.destroy_node()
