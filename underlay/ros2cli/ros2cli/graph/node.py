# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The node of a command, and discovery (there is no daemon with a cached graph)."""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from ros2cli.errors import CliError
from ros2cli.graph.participants import LocalParticipants, domain_id

COMPLETE_AFTER = 4.0
"""Seconds until all participants are discovered: they announce themselves every 3 seconds."""
MISSING_AFTER = 7.0
"""Seconds to wait for a participant that is known to run on this host: one more announcement."""
SETTLED_AFTER = 0.3
"""Seconds without a change after which a found entity and everything related to it are known."""
COMPLETE_SETTLED_AFTER = 0.6
"""Seconds without a change after which the endpoints of all known participants are complete."""
REMOTE_AFTER = 0.7
"""Seconds to wait for other hosts, whose participants cannot be counted."""
PERIOD = 0.02
"""Polling period of the graph in seconds; it has no change notification."""
SIGNAL_SEEN_AFTER = 0.1
"""Longest delay of Ctrl-C while waiting for a message, in seconds."""
DDS_RETURNS_WITHIN = 40.0
"""Seconds for the creation and for the end of the node, which take milliseconds on a machine that is not busy."""

DISCOVERY_TOPIC = "ros_discovery_info"
"""Every ROS context has one publisher of this topic, outside the ROS namespace."""


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every verb that creates a node."""
    parser.add_argument(
        "--spin-time",
        type=float,
        default=None,
        help="Seconds to wait for discovery (default: until all participants on this host are found, at most "
        f"{MISSING_AFTER:g})",
    )
    parser.add_argument("-s", "--use-sim-time", action="store_true", help="Enable ROS simulation time")
    parser.add_argument("--no-daemon", action="store_true", help="Accepted and ignored; there is no daemon")


@contextmanager
def command_node(args: argparse.Namespace, name: str | None = None) -> Iterator[Any]:
    """An rclpy node, hidden unless named, destroyed on exit.

    Ctrl-C raises KeyboardInterrupt, SIGTERM a SystemExit with the exit code of the real command. rclpy's own handlers
    would shut its context down in another thread while this thread destroys the node, which occasionally crashes.
    """
    import rclpy
    from rclpy.parameter import Parameter
    from rclpy.signals import SignalHandlerOptions

    def on_signal(number: int, frame: object) -> None:
        _signals.append(number)
        _raise_signal()

    _signals.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        with _bounded():
            node = rclpy.create_node(
                name or f"_ros2cli_{os.getpid()}",
                start_parameter_services=False,
                parameter_overrides=[Parameter("use_sim_time", value=bool(getattr(args, "use_sim_time", False)))],
                automatically_declare_parameters_from_overrides=True,
            )
        try:
            yield node
        except Exception:
            _raise_signal()  # the handler's exception, within a call of rclpy, can end it with another one
            raise
        finally:
            with _bounded():
                if node in _executors:
                    _executors.pop(node).shutdown(timeout_sec=0)
                node.destroy_node()
    finally:
        with _bounded():
            rclpy.try_shutdown()


@contextmanager
def _bounded() -> Iterator[None]:
    """End the process if the block takes too long: Fast DDS can deadlock while other nodes end (its issue 6502)."""
    faulthandler.dump_traceback_later(DDS_RETURNS_WITHIN, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def participants_seen(node: Any) -> int:
    """The number of known ROS contexts, including this one."""
    writers = node.get_publishers_info_by_topic(DISCOVERY_TOPIC, no_mangle=True)
    return len({bytes(writer.endpoint_gid[:12]) for writer in writers})


def wait_for_graph(node: Any, args: argparse.Namespace, found: Callable[[], bool] | None = None) -> None:
    """Wait until the graph is known: all participants on this host, and no recent change.

    With `found`, stop as soon as it returns true and the graph has settled. Blocks for `MISSING_AFTER`
    seconds at most, or for `--spin-time` seconds.
    """
    start = time.monotonic()
    remote = 0.0 if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST" else REMOTE_AFTER
    local = LocalParticipants(domain_id())
    last: object = None
    changed = start
    while True:
        local.read()
        limit = MISSING_AFTER if local.count() else COMPLETE_AFTER
        if time.monotonic() - start >= (limit if args.spin_time is None else args.spin_time):
            return
        now = _snapshot(node)
        if now != last:
            last, changed = now, time.monotonic()
        quiet = time.monotonic() - changed
        if args.spin_time is None and quiet >= SETTLED_AFTER:
            if found is not None and found():
                return
            if (
                quiet >= COMPLETE_SETTLED_AFTER
                and time.monotonic() - start >= remote
                and _complete(node, local.count())
            ):
                return
        time.sleep(PERIOD)


def _complete(node: Any, local: int) -> bool:
    """Whether all `local` participants on this host are known, with their nodes and the nodes' publishers.

    Every node has publishers, at least for its log and its parameter events.
    """
    seen = participants_seen(node)
    names = node.get_node_names_and_namespaces()
    return 0 < local <= seen <= len(names) and all(node.get_publisher_names_and_types_by_node(*name) for name in names)


def _snapshot(node: Any) -> object:
    topics = node.get_topic_names_and_types()
    ends = [(node.count_publishers(name), node.count_subscribers(name)) for name, _ in topics]
    return (topics, ends, node.get_service_names_and_types(), node.get_node_names_and_namespaces())


_executors: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _executor(node: Any) -> Any:
    """The node's executor, created once: messages would queue up between two executors."""
    from rclpy.executors import SingleThreadedExecutor

    if node not in _executors:
        _executors[node] = SingleThreadedExecutor()
        _executors[node].add_node(node)
    return _executors[node]


_signals: list[int] = []


def _raise_signal() -> None:
    """Raise what the first received signal asks for, if there is one."""
    if _signals:
        raise KeyboardInterrupt if _signals[0] == signal.SIGINT else SystemExit(_signals[0])


def spin_until(node: Any, done: Callable[[], bool], timeout: float | None = None) -> bool:
    """Run callbacks until `done()`; False if it took longer than `timeout` seconds."""
    executor = _executor(node)
    deadline = None if timeout is None else time.monotonic() + timeout
    while not done():
        _raise_signal()  # the handler's exception is lost in a __del__, and rclpy has one for each callback
        left = SIGNAL_SEEN_AFTER if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return False
        executor.spin_once(timeout_sec=min(left, SIGNAL_SEEN_AFTER))
    return True


def call(node: Any, service_type: Any, name: str, request: Any, timeout: float = 10.0, again: float = 3.0) -> Any:
    """Call a service and wait for its response. Raises CliError after `timeout` seconds.

    The response is lost if the server has not yet discovered the client, so the request is repeated every ``again``
    seconds. If a repeated request would do harm, ``again`` must not be less than ``timeout``.
    """
    client = node.create_client(service_type, name)
    try:
        deadline = time.monotonic() + timeout
        while not client.service_is_ready():
            if time.monotonic() >= deadline:
                raise CliError(f"service '{name}' is not available")
            time.sleep(PERIOD)
        while time.monotonic() < deadline:
            future = client.call_async(request)
            if spin_until(node, future.done, min(again, deadline - time.monotonic())):
                return future.result()
        raise CliError(f"service '{name}' did not answer within {timeout:g} seconds")
    finally:
        node.destroy_client(client)
