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

"""Show the running nodes: state, frames per second, latency, CPU, memory, GPU."""

from __future__ import annotations

import argparse
import shutil
import sys
import time

from edgecam_core.errors import MissingDependency
from edgecam_ros.command_node import command_node, stopped_by_signals

CLEAR = "\033[H\033[2J"
ONCE_SECONDS = 4.0  # reports arrive once a second; discovery takes up to two


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help=f"print one table after {ONCE_SECONDS:.0f} s and exit")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two tables (default 1)")


def waits_for(_args: argparse.Namespace) -> str:
    return "for reports of nodes on /diagnostics"


def run(args: argparse.Namespace) -> int:
    """Returns 0; with ``--once``, 1 if no node reported."""
    try:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
    except ImportError as problem:
        raise MissingDependency(f"ROS 2 ({problem})", "source install/setup.bash") from problem
    from edgecam_viewer.node_status import NodeStatusTable, node_statuses
    from edgecam_viewer.top import gpu_line, table

    reports = NodeStatusTable()

    def keep(message: DiagnosticArray) -> None:
        for status in node_statuses(message, time.monotonic()):
            reports.put(status)

    with command_node("edgecam_top") as node, stopped_by_signals() as stopping:
        node.create_subscription(DiagnosticArray, "/diagnostics", keep, 50)
        while True:
            end = time.monotonic() + (ONCE_SECONDS if args.once else max(0.1, args.interval))
            while time.monotonic() < end:
                if stopping:
                    return 0
                rclpy.spin_once(node, timeout_sec=0.1)
            nodes = reports.nodes(time.monotonic())
            lines = table(nodes, width=shutil.get_terminal_size((120, 24)).columns) + gpu_line()
            clear = CLEAR if sys.stdout.isatty() and not args.once else ""
            print(clear + "\n".join(lines), flush=True)
            if args.once:
                return 0 if nodes else 1
