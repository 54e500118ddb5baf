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

"""Display bandwidth used by topic."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node, spin_until
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.graph.rates import BandwidthMeter
from ros2cli.options import positive_int

WINDOW = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic bw`."""
    parser.add_argument("topic", help="Topic name to monitor for bandwidth utilization")
    parser.add_argument(
        "-w",
        "--window",
        metavar="WINDOW",
        type=positive_int,
        default=WINDOW,
        help=f"Maximum window size, in # of messages, for calculating rate (default: {WINDOW})",
    )
    add_qos_arguments(parser, "sensor_data")
    add_node_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Print once a second until interrupted."""
    from ros2cli.graph import qos, topics
    from ros2cli.graph.names import expand

    with command_node(args) as node:
        kind = topics.find_type(node, args.topic, args, keep_waiting=True)
        topic = expand(node, args.topic)
        meter, clock = BandwidthMeter(args.window), node.get_clock()
        node.create_subscription(
            kind,
            topic,
            lambda data: meter.arrived(clock.now().nanoseconds, len(data)),
            qos.for_subscribing(node, topic, args),
            raw=True,
        )
        print(f"Subscribed to [{args.topic}]")
        while True:
            spin_until(node, lambda: False, timeout=1.0)
            report = meter.report(clock.now().nanoseconds)
            if report:
                print(report)
