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

"""An rclpy node for one command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgecam_core.cli.main import ending_signals
from edgecam_core.errors import MissingDependency

from edgecam_ros.ending import bounded
from edgecam_ros.message_support import skip_generator


def see_all() -> None:
    """Before ``rclpy.init``: with a Fast DDS discovery server, learn of all nodes, not only of matching endpoints.

    Commands look at the whole graph, so they are super clients, unless ROS_SUPER_CLIENT says otherwise.
    """
    if os.environ.get("ROS_DISCOVERY_SERVER"):
        os.environ.setdefault("ROS_SUPER_CLIENT", "TRUE")


@contextmanager
def command_node(name: str) -> Iterator[Any]:
    """A node for this process. Ctrl-C still raises KeyboardInterrupt in this thread.

    Raises:
        MissingDependency: ROS 2 is not available.
    """
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
    except ImportError as problem:
        raise MissingDependency(f"ROS 2 ({problem})", "source install/setup.bash") from problem
    see_all()
    skip_generator()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    with bounded():
        node = rclpy.create_node(name, start_parameter_services=False)
    try:
        yield node
    finally:
        with bounded():
            node.destroy_node()
            rclpy.try_shutdown()


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Within the block, collect the signals that end a command; in the main thread.

    For a command that runs callbacks until it is stopped: a KeyboardInterrupt is lost if it is raised in a __del__, and
    rclpy has one for each callback.
    """
    received: list[int] = []
    previous = [
        (number, signal.signal(number, lambda caught, _frame: received.append(caught)))
        for number in (signal.SIGINT, *ending_signals())
    ]
    try:
        yield received
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
