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

"""Call a service."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.node import PERIOD, add_node_arguments, command_node, spin_until
from ros2cli.graph.qos import add_qos_arguments
from ros2cli.options import positive_float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 service call`."""
    parser.add_argument("service_name", help="Name of the ROS service to call to (e.g. '/add_two_ints')")
    parser.add_argument("service_type", help="Type of the ROS service (e.g. 'std_srvs/srv/Empty')")
    values = parser.add_mutually_exclusive_group()
    values.add_argument("values", nargs="?", default="{}", help="Values in YAML format (e.g. '{a: 1, b: 2}')")
    values.add_argument("--stdin", action="store_true", help="Read values from standard input")
    parser.add_argument("-r", "--rate", metavar="N", type=positive_float, help="Repeat the call at N Hz")
    add_qos_arguments(parser, "services_default")
    add_node_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Wait for the service, call it and print the response."""
    from ros2cli.graph.qos import from_arguments
    from ros2cli.messages.fill import fill, read_values
    from ros2cli.messages.types import service_type

    kind = service_type(args.service_type)
    request = kind.Request()
    fill(request, read_values(sys.stdin.read() if args.stdin else args.values))
    with command_node(args) as node:
        client = node.create_client(kind, args.service_name, qos_profile=from_arguments(args))
        if not client.service_is_ready():
            print("waiting for service to become available...")
            while not client.service_is_ready():
                time.sleep(PERIOD)
        while True:
            started = time.monotonic()
            _call_once(node, client, request)
            if args.rate is None:
                return
            time.sleep(max(0.0, started + 1.0 / args.rate - time.monotonic()))


def _call_once(node: Any, client: Any, request: Any) -> None:
    print(f"requester: making request: {request!r}\n")
    future = client.call_async(request)
    spin_until(node, future.done)
    if future.result() is None:
        raise CliError(f"Exception while calling service: {future.exception()!r}")
    print(f"response:\n{future.result()!r}\n")
