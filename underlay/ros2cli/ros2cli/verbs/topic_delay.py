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

"""Display delay of topic from timestamp in header."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import add_node_arguments, command_node, spin_until
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.graph.rates import DelayMeter
from ros2cli.options import positive_int

WINDOW = 10000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic delay`."""
    parser.add_argument("topic_name", help="Name of the ROS topic to measure (e.g. '/camera/image_raw')")
    parser.add_argument(
        "-w",
        "--window",
        dest="window_size",
        metavar="WINDOW",
        type=positive_int,
        default=WINDOW,
        help=f"Window size, in # of messages, for calculating the delay (default: {WINDOW})",
    )
    add_qos_arguments(parser, "sensor_data")
    add_node_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Print once a second until Ctrl-C."""
    with command_node(args) as node:
        meter = DelayMeter(args.window_size)
        _measure(node, meter, args)
        while True:
            spin_until(node, lambda: False, timeout=1.0)
            text = meter.report()
            if text is not None:
                print(text)


def _measure(node: Any, meter: DelayMeter, args: argparse.Namespace) -> None:
    from rclpy.time import Time

    from ros2cli.graph import qos, topics
    from ros2cli.graph.names import expand

    kind = topics.find_type(node, args.topic_name, args, keep_waiting=True)
    if "header" not in kind.get_fields_and_field_types():
        raise CliError("msg does not have header")
    clock = node.get_clock()

    def on_message(message: Any) -> None:
        meter.arrived(int(clock.now().nanoseconds), int(Time.from_msg(message.header.stamp).nanoseconds))

    name = expand(node, args.topic_name)
    node.create_subscription(kind, name, on_message, qos.for_subscribing(node, name, args))
