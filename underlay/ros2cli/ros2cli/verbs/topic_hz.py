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

"""Print the average publishing rate to screen."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from ros2cli.graph.node import add_node_arguments, command_node, spin_until
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.graph.rates import Rate, RateMeter
from ros2cli.options import positive_int

WINDOW = 10000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic hz`."""
    parser.add_argument("topic_name", nargs="+", help="Names of the ROS topics to listen to (e.g. '/chatter')")
    parser.add_argument(
        "-w",
        "--window",
        dest="window_size",
        metavar="WINDOW",
        type=positive_int,
        default=WINDOW,
        help=f"Window size, in # of messages, for calculating rate (default: {WINDOW})",
    )
    parser.add_argument("--filter", dest="filter_expr", metavar="EXPR", help="Measure messages m matching EXPR")
    parser.add_argument("--wall-time", action="store_true", help="Calculates rate using wall time")
    add_qos_arguments(parser, "sensor_data")
    add_node_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Print once a second until interrupted. Messages are received as bytes unless a filter is set."""
    with command_node(args) as node:
        meters = {topic: RateMeter(args.window_size) for topic in args.topic_name}
        for topic, meter in meters.items():
            _measure(node, topic, meter, args)
        while True:
            spin_until(node, lambda: False, timeout=1.0)
            _print({topic: meter.take() for topic, meter in meters.items()})


def _measure(node: Any, topic: str, meter: RateMeter, args: argparse.Namespace) -> None:
    from ros2cli.graph import qos, topics
    from ros2cli.graph.names import expand

    kind = topics.find_type(node, topic, args, keep_waiting=True)
    accepts = topics.filter_function(args.filter_expr)
    now = _clock(node, args.wall_time)

    def on_message(message: Any) -> None:
        if args.filter_expr is None or accepts(message):
            meter.arrived(now())

    name = expand(node, topic)
    profile = qos.for_subscribing(node, name, args)
    node.create_subscription(kind, name, on_message, profile, raw=args.filter_expr is None)
    if len(args.topic_name) > 1:
        print(f"Subscribed to [{topic}]")


def _clock(node: Any, wall: bool) -> Callable[[], int]:
    if wall:
        return time.time_ns
    clock = node.get_clock()
    return lambda: int(clock.now().nanoseconds)


def _print(rates: dict[str, Rate | None]) -> None:
    known = {topic: rate for topic, rate in rates.items() if rate is not None}
    if not known:
        return
    if len(rates) > 1:
        print(table(known))
        return
    for rate in known.values():
        print(
            f"average rate: {rate.rate:.3f}\n\tmin: {rate.shortest:.3f}s max: {rate.longest:.3f}s "
            f"std dev: {rate.deviation:.5f}s window: {rate.window}"
        )


def table(rates: dict[str, Rate]) -> str:
    """A table with one line per topic."""
    header = ("topic", "rate", "min_delta", "max_delta", "std_dev", "window")
    rows = [
        (topic, f"{r.rate:.3f}", f"{r.shortest:.3f}", f"{r.longest:.3f}", f"{r.deviation:.5f}", str(r.window))
        for topic, r in rates.items()
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    title = "   ".join(name.center(width) for name, width in zip(header, widths, strict=True))
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([title, "=" * len(title), *lines]) + "\n"
