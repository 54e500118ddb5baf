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

"""Runs nodes as a process: signal handling, one-line errors, exit codes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from edgecam_core.errors import EdgecamError
from edgecam_core.masking import masked
from edgecam_core.memory import keep_pages
from edgecam_core.stdout import flush_stdout
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions

from edgecam_ros.deadlock import EventThreads, restart
from edgecam_ros.ending import bounded, end_with
from edgecam_ros.executor import make_executor
from edgecam_ros.faults import place
from edgecam_ros.message_support import skip_generator
from edgecam_ros.node import EdgecamNode

SPIN_SECONDS = 0.2
ENDING = (signal.SIGINT, signal.SIGTERM)
EXIT_FAILED = 1
EXIT_BAD_PARAMETER = 2


def run(node_type: Callable[[], EdgecamNode], args: Sequence[str] | None = None) -> int:
    """Run a node until a signal, its end or its failure; returns the exit code. See :func:`run_all`."""
    return run_all([node_type], args)


def run_all(node_types: Sequence[Callable[[], EdgecamNode]], args: Sequence[str] | None = None) -> int:
    """Run nodes in one process until a signal, or until one ends or fails; returns the exit code.

    The exit code is 0 after SIGINT or SIGTERM, 2 for an invalid parameter or ROS argument, 1 for any other error.
    Errors are one line on stderr. Blocks until the nodes end.
    """
    stopping = catch_signals()
    if stopping:  # during the imports
        return 0
    keep_pages()
    skip_generator()
    try:
        rclpy.init(args=list(sys.argv if args is None else args), signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # rcl's: an unreadable parameter file, unknown ROS arguments, missing security keys
        return _refused(error)
    try:
        return _run(node_types, stopping)
    finally:
        with bounded():
            rclpy.try_shutdown()
        flush_stdout()


def catch_signals() -> list[int]:
    """Install handlers that append SIGINT and SIGTERM to the returned list.

    A process started by ``cameras`` has both blocked, so a signal that arrived during the imports is in the list at
    once; see :mod:`edgecam_ros.starting` for edgecam's executables.
    """
    received: list[int] = []
    for number in ENDING:
        signal.signal(number, lambda caught, _frame: received.append(caught))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    return received


def _run(node_types: Sequence[Callable[[], EdgecamNode]], stopping: list[int]) -> int:
    nodes: list[EdgecamNode] = []
    code = 0
    executor = make_executor()
    try:
        for node_type in node_types:
            if stopping:
                break
            nodes.append(node_type())
            executor.add_node(nodes[-1])
        event_threads = EventThreads()
        while rclpy.ok() and not stopping and not any(node.ended.is_set() for node in nodes):
            # The executor waits in C++; Python handles a signal only after it returns.
            _spin(executor, nodes)
            if event_threads.deadlocked():
                restart()
    except ExternalShutdownException:
        pass
    except Exception as error:
        code = EXIT_FAILED
        if len(nodes) == len(node_types):
            raise
        code = _refused(error)
        return code
    finally:
        # A second Ctrl-C must not interrupt the clean-up.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        end_with(code or _exit_code(nodes, stopping))
        for node in reversed(nodes):
            node.trigger_shutdown()
            with bounded():  # it takes the executor's listeners from the readers
                executor.remove_node(node)
        with bounded():
            executor.shutdown()
        for node in nodes:
            node.supervised(node.destroy_node)()
    for node in nodes:
        if node.failure is not None:
            print(f"error: {masked(str(node.failure))}", file=sys.stderr, flush=True)
    return _exit_code(nodes, stopping)


def _exit_code(nodes: Sequence[EdgecamNode], stopping: Sequence[int]) -> int:
    failed = any(node.failure is not None for node in nodes)
    return 0 if stopping and not failed else max((node.exit_code for node in nodes), default=0)


def _spin(executor: Any, nodes: Sequence[EdgecamNode]) -> None:
    """Run the ready callbacks. Exceptions of rclpy do not end the node; callbacks are supervised."""
    try:
        executor.spin_once(timeout_sec=SPIN_SECONDS)
    except ExternalShutdownException:
        raise
    except Exception as error:
        nodes[0].faults.add("executor", error)
        time.sleep(SPIN_SECONDS)  # in case it is raised each time


def _refused(error: Exception) -> int:
    """Print why a node could not be created, on one line; a defect with its location."""
    expected = isinstance(error, EdgecamError | RuntimeError)  # errors of rcl are RuntimeError
    # rcl appends its source location
    text = str(error).split(", at /")[0] if expected else f"{EdgecamError.of(error)} ({place(error)})"
    print(f"error: {masked(' '.join(text.split()))}", file=sys.stderr, flush=True)
    return EXIT_BAD_PARAMETER if expected else EXIT_FAILED
