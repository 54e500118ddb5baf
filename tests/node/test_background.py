"""A service that waits for slow work: the executor serves other callbacks meanwhile, and the response arrives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from edgecam_core.errors import EdgecamError
from edgecam_ros.background import Background
from edgecam_ros.executor import make_executor
from edgecam_ros.supervision import SupervisedNode
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from ros_peer import Peer
from std_srvs.srv import Trigger
from waiting import DISCOVERY, wait_until


class SlowNode(SupervisedNode, Node):
    """``~/slow`` responds after ``~/release`` has been called, or ``released`` is set."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.begun, self.released = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.create_service(Trigger, "~/slow", self._on_slow, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(Trigger, "~/release", self._on_release)

    async def _on_slow(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = await Background(self, self._work)
        response.success = True
        return response

    def _work(self) -> str:
        self.begun.set()
        assert self.released.wait(DISCOVERY)
        time.sleep(0.3)  # the executor is waiting by now; only the wake-up lets it continue
        if self.error:
            raise self.error
        return "done"

    def _on_release(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.released.set()
        response.success = True
        return response


@pytest.fixture(params=[make_executor, SingleThreadedExecutor])
def slow(request: pytest.FixtureRequest) -> Iterator[SlowNode]:
    """Spun with a timeout longer than the test: only an event wakes the executor."""
    make: Callable[[], Any] = request.param
    node, executor, ended = SlowNode(), make(), threading.Event()
    executor.add_node(node)

    def spin() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=10 * DISCOVERY)

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    yield node
    node.released.set()
    ended.set()
    executor.create_task(lambda: None)  # spin_once returns
    thread.join(DISCOVERY)
    executor.shutdown()
    node.destroy_node()


def ask(peer: Peer, node: SlowNode) -> Any:
    """The future of a response whose work has begun."""
    client: Any = peer.node.create_client(Trigger, "/slow/slow")
    assert client.wait_for_service(DISCOVERY)
    future = client.call_async(Trigger.Request())
    assert node.begun.wait(DISCOVERY)
    return future


def answer(future: Any) -> Trigger.Response:
    wait_until(future.done, what="the answer")
    return future.result()


def test_finished_work_wakes_an_idle_executor(peer: Peer, slow: SlowNode) -> None:
    future = ask(peer, slow)
    slow.released.set()
    assert (answer(future).success, answer(future).message) == (True, "done")


def test_other_services_are_served_meanwhile(peer: Peer, slow: SlowNode) -> None:
    future = ask(peer, slow)
    assert not future.done()
    assert peer.call(Trigger, "/slow/release", Trigger.Request()).success
    assert answer(future).message == "done"


def test_an_error_in_the_work_is_the_response(peer: Peer, slow: SlowNode) -> None:
    slow.error = EdgecamError("the disk is full")
    future = ask(peer, slow)
    slow.released.set()
    assert not answer(future).success
    assert "the disk is full" in answer(future).message
