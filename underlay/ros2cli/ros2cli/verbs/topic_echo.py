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

"""Output messages from a topic."""

from __future__ import annotations

import argparse
import re
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import add_node_arguments, command_node, spin_until, wait_for_graph
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.options import positive_float, unsigned_int

TRUNCATE_LENGTH = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 topic echo`."""
    add_node_arguments(parser)
    add = parser.add_argument
    add("topic_name", help="Name of the ROS topic to listen to (e.g. '/chatter')")
    add("message_type", nargs="?", help="Type of the ROS message (e.g. 'std_msgs/msg/String')")
    add_qos_arguments(parser, "sensor_data")
    add("--csv", action="store_true", help="Output all recursive fields separated by commas")
    add("--field", help="Echo a part of a message, for example 'pose.pose.position' or 'detections[0].id'")
    add("-f", "--full-length", action="store_true", help="Do not truncate arrays, bytes and strings")
    add(
        "-l",
        "--truncate-length",
        type=unsigned_int,
        default=TRUNCATE_LENGTH,
        help=f"The length to truncate arrays, bytes, and strings to (default: {TRUNCATE_LENGTH})",
    )
    add("--no-arr", action="store_true", help="Don't print array fields of messages")
    add("--no-str", action="store_true", help="Don't print string fields of messages")
    add("--flow-style", action="store_true", help="Print collections in the flow style")
    add("--no-lost-messages", action="store_true", help="Don't report when a message is lost")
    add("--raw", action="store_true", help="Echo the raw binary representation")
    add("--filter", dest="filter_expr", metavar="EXPR", help="Python expression over m, the message")
    add("--once", action="store_true", help="Print the first message received and then exit")
    add("--timeout", metavar="N", type=positive_float, help="Exit after N seconds")
    add("-i", "--include-message-info", action="store_true", help="Shows the associated message info")
    add("-c", "--clear", action="store_true", help="Clear screen before printing next message")
    add("-n", "--node-name", help="The name of the echoing node")


def main(args: argparse.Namespace) -> None:
    """Print until interrupted."""
    from ros2cli.graph import qos, topics
    from ros2cli.graph.names import expand
    from ros2cli.messages.types import message_type

    path = field_path(args.field)
    with command_node(args, args.node_name) as node:
        topic = expand(node, args.topic_name)
        if args.message_type is None:
            kind = topics.find_type(node, topic, args, keep_waiting=False)
            if kind is None:
                raise CliError("Could not determine the type for the passed topic")
        else:
            kind = message_type(args.message_type)
            wait_for_graph(node, args, found=lambda: node.count_publishers(topic) > 0)
        printer = Printer(args, path, topics.filter_function(args.filter_expr))
        profile = qos.for_subscribing(node, topic, args)
        _subscribe(node, kind, topic, printer, profile, args)
        spin_until(node, lambda: printer.finished, args.timeout)


def _subscribe(node: Any, kind: Any, topic: str, printer: Printer, profile: Any, args: argparse.Namespace) -> None:
    from rclpy.event_handler import SubscriptionEventCallbacks

    lost = None if args.no_lost_messages else SubscriptionEventCallbacks(message_lost=_report_lost)
    node.create_subscription(kind, topic, printer.show, profile, event_callbacks=lost, raw=args.raw)


def _report_lost(status: Any) -> None:
    print(
        f"A message was lost!!!\n\ttotal count change:{status.total_count_change}\n\ttotal count: {status.total_count}",
        end="---\n",
    )


def field_path(text: str | None) -> list[str | int]:
    """`a.b[2].c` as `["a", "b", 2, "c"]`. Raises CliError."""
    if text is None:
        return []
    path: list[str | int] = []
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", text):
        path.append(name or int(index))
    if not path or re.sub(r"[^.\[\]]+|\[\d+\]|\.", "", text):
        raise CliError(f"Invalid field value '{text}'")
    return path


class Printer:
    """Prints messages according to the options; `finished` after the first one with `--once`."""

    def __init__(self, args: argparse.Namespace, path: list[str | int], accepts: Any) -> None:
        from ros2cli.messages.text import Style

        self.finished = False
        self._args = args
        self._path = path
        self._accepts = accepts
        length = None if args.full_length else args.truncate_length
        self._style = Style(length, args.no_arr, args.no_str, args.flow_style)

    def show(self, message: Any, info: Any) -> None:
        """Print one message."""
        part = self._part(message)
        if self.finished or not self._accepts(part):
            return
        self.finished = self._args.once
        if self._args.clear:
            print("\x1b[H\x1b[2J")
        print(self._text(part, info), end="")

    def _part(self, message: Any) -> Any:
        for step in self._path:
            try:
                message = message[step] if isinstance(step, int) else getattr(message, step)
            except (AttributeError, IndexError, TypeError) as error:
                raise CliError(f"Invalid field '{self._args.field}': {error}") from error
        return message

    def _text(self, part: Any, info: Any) -> str:
        from ros2cli.messages import text

        with_info = self._args.include_message_info
        if not hasattr(part, "SLOT_TYPES"):
            head = f"---Got new message, message info:---\n{info}\n---Message data:---\n" if with_info else ""
            return f"{head}{part}\n---\n"
        if self._args.csv:
            head = ",".join(map(str, info.values())) + "," if with_info else ""
            return f"{head}{text.to_csv(part, self._style)}\n"
        head = "".join(f"{key}: {value}\n" for key, value in sorted(info.items())) + "---\n" if with_info else ""
        return f"{head}{text.to_yaml(part, self._style)}---\n"
