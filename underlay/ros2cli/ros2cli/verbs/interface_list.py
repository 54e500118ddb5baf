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

"""List all interface types available."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ros2 interface list`."""
    parser.add_argument("-m", "--only-msgs", action="store_true", help="Print out only the message types")
    parser.add_argument("-s", "--only-srvs", action="store_true", help="Print out only the service types")
    parser.add_argument("-a", "--only-actions", action="store_true", help="Print out only the action types")


def main(args: argparse.Namespace) -> None:
    """Print the interfaces of the chosen kinds; of all kinds by default."""
    from ros2cli.messages.definitions import KINDS, interfaces

    chosen = {"msg": args.only_msgs, "srv": args.only_srvs, "action": args.only_actions}
    for kind, title in KINDS.items():
        if chosen[kind] or not any(chosen.values()):
            print(f"{title}:")
            for package, names in interfaces(kind).items():
                for name in names:
                    print(f"    {package}/{name}")
