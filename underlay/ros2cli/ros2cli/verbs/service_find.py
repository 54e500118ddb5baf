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

"""Output a list of available services of a given type."""

from __future__ import annotations

import argparse

from ros2cli.graph.node import add_node_arguments, command_node, wait_for_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 service find`."""
    add_node_arguments(parser)
    parser.add_argument("service_type", help="Name of the ROS service type to filter for (e.g. 'std_srvs/srv/SetBool')")
    parser.add_argument("-c", "--count-services", action="store_true", help="Only display the number of services")
    parser.add_argument("--include-hidden-services", action="store_true", help="Consider hidden services as well")


def main(args: argparse.Namespace) -> None:
    """Print the names; an empty list is not an error."""
    from ros2cli.graph.names import print_of_type, visible

    with command_node(args) as node:
        wait_for_graph(node, args)
        services = visible(node.get_service_names_and_types(), args.include_hidden_services)
    print_of_type(services, args.service_type, only_number=args.count_services)
