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

"""Show the latency of frames in each stage of the running pipeline, from capture to the browser."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from edgecam_core.errors import SettingError
from edgecam_core.tracer import Mark

from edgecam_core import trace
from edgecam_ros.command_node import command_node

START_SECONDS = 10.0  # for discovery, and because nodes look for a subscriber only once a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of the trace (default 5)")
    parser.add_argument("--json", type=Path, help="write all frames as a Chrome trace, for ui.perfetto.dev")
    parser.add_argument("--svg", type=Path, help="write a chart of the frame with the median latency")
    parser.add_argument("--note", default="", help="text for the chart, e.g. the name of the machine")


def waits_for(args: argparse.Namespace) -> str:
    return f"for frames of running nodes, {START_SECONDS:g} s at most; then tracing for {args.seconds:g} s"


def run(args: argparse.Namespace) -> int:
    """Returns 0, or 1 if no frame was traced."""
    for path in (args.json, args.svg):
        if path is not None and not path.absolute().parent.is_dir():
            raise SettingError("output", str(path), "its directory does not exist")
    marks = collect(args.seconds)
    found = trace.frames(marks)
    if not found:
        print("error: no frame was traced: no edgecam node publishes frames; see 'edgecam top'", file=sys.stderr)
        return 1
    print("\n".join(trace.table(found)))
    if args.json is not None:
        args.json.write_text(json.dumps(trace.chrome(found)))
    if args.svg is not None:
        args.svg.write_text(trace.svg(trace.typical(found), args.note))
    return 0


def collect(seconds: float) -> list[Mark]:
    """All marks within ``seconds`` from the first mark on; blocks meanwhile."""
    import rclpy
    from std_msgs.msg import String

    from edgecam_ros.trace_topic import DEPTH, marks_of

    marks: list[Mark] = []
    with command_node("edgecam_trace") as node:
        node.create_subscription(String, "/edgecam/trace", lambda message: marks.extend(marks_of(message)), DEPTH)
        deadline = time.monotonic() + START_SECONDS
        while not marks and time.monotonic() < deadline:
            rclpy.spin_once(node, timeout_sec=0.1)
        deadline = time.monotonic() + max(0.0, seconds)
        while time.monotonic() < deadline:
            rclpy.spin_once(node, timeout_sec=0.1)
    return marks
