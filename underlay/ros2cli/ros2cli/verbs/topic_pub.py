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

"""Publish a message to a topic."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import PERIOD, add_node_arguments, command_node, spin_until
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.options import positive_float, unsigned_int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic pub`."""
    add = parser.add_argument
    add("topic_name", help="Name of the ROS topic to publish to (e.g. '/chatter')")
    add("message_type", help="Type of the ROS message (e.g. 'std_msgs/String')")
    values = parser.add_mutually_exclusive_group()
    values.add_argument("values", nargs="?", default="{}", help="Values in YAML (e.g. 'data: Hello World')")
    values.add_argument("--stdin", action="store_true", help="Read values from standard input")
    add("-r", "--rate", metavar="N", type=positive_float, default=1.0, help="Publishing rate in Hz (default: 1)")
    add("-p", "--print", metavar="N", type=int, default=1, help="Only print every N-th message (default: 1)")
    times = parser.add_mutually_exclusive_group()
    times.add_argument("-1", "--once", action="store_true", help="Publish one message and exit")
    times.add_argument("-t", "--times", type=unsigned_int, default=0, help="Publish this number of messages and exit")
    add(
        "-w",
        "--wait-matching-subscriptions",
        type=unsigned_int,
        help="Wait for this number of subscriptions (default: 1 with --once or --times, else 0)",
    )
    add("--max-wait-time-secs", type=positive_float, help="Maximum time to wait for subscriptions, in seconds")
    add(
        "--keep-alive",
        metavar="N",
        type=positive_float,
        default=0.1,
        help="Seconds to wait after the last message",
    )
    add("-n", "--node-name", help="Name of the created publishing node")
    add_qos_arguments(parser, "default")
    add_node_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Publish once, a given number of times, or until interrupted."""
    from ros2cli.graph.qos import from_arguments
    from ros2cli.messages.fill import fill, read_values
    from ros2cli.messages.types import message_type

    kind = message_type(args.message_type)
    values = read_values(sys.stdin.read() if args.stdin else args.values)
    message = kind()
    stamps = fill(message, values, stamps=True)
    with command_node(args, args.node_name) as node:
        publisher = node.create_publisher(kind, args.topic_name, from_arguments(args))
        _wait_for_subscriptions(publisher, args)
        print("publisher: beginning loop")
        times, count, start = 1 if args.once else args.times, 0, time.monotonic()
        while times == 0 or count < times:
            count += 1
            now = node.get_clock().now().to_msg()
            for stamp in stamps:
                stamp(now)
            if args.print and count % args.print == 0:
                print(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)
            if count != times:
                next_time = start + count / args.rate
                spin_until(node, lambda: False, timeout=max(0.0, next_time - time.monotonic()))
        time.sleep(args.keep_alive)


def _wait_for_subscriptions(publisher: Any, args: argparse.Namespace) -> None:
    expected = args.wait_matching_subscriptions
    if expected is None:
        expected = int(args.once or args.times > 0)
    limit = args.max_wait_time_secs
    if limit is not None and expected == 0:
        raise CliError(
            "--max-wait-time-secs option is only effective with --wait-matching-subscriptions, --once or --times"
        )
    start = next_notice = time.monotonic()
    while publisher.get_subscription_count() < expected:
        now = time.monotonic()
        if now >= next_notice:
            print(f"Waiting for at least {expected} matching subscription(s)...")
            next_notice = now + 1.0
        if limit is not None and now - start >= limit:
            raise CliError(
                f"Timed out waiting for subscribers: Expected {expected} subscribers but only got "
                f"{publisher.get_subscription_count()} subscribers"
            )
        time.sleep(PERIOD)
