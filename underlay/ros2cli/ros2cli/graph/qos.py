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

"""QoS from the command line, and QoS that matches the existing publishers."""

from __future__ import annotations

import argparse
import copy
from typing import Any

PRESETS = (
    "unknown", "default", "system_default", "sensor_data", "services_default", "parameters", "parameter_events",
    "action_status_default", "best_available", "rosout_default",
)  # fmt: skip
OPTIONS = ("reliability", "durability", "depth", "history", "liveliness", "liveliness_lease_duration_seconds")


def add_qos_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the `--qos-…` options."""
    add = parser.add_argument
    add("--qos-profile", choices=PRESETS, default=default, help=f"Quality of service preset (default: {default})")
    add("--qos-depth", metavar="N", type=int, help="Queue size")
    add("--qos-history", choices=("system_default", "keep_last", "keep_all", "unknown"), help="History")
    add(
        "--qos-reliability",
        choices=("system_default", "reliable", "best_effort", "unknown", "best_available"),
        help="Reliability",
    )
    add(
        "--qos-durability",
        choices=("system_default", "transient_local", "volatile", "unknown", "best_available"),
        help="Durability",
    )
    add(
        "--qos-liveliness",
        choices=("system_default", "automatic", "manual_by_topic", "unknown", "best_available"),
        help="Liveliness",
    )
    add("--qos-liveliness-lease-duration-seconds", type=float, help="Liveliness lease duration")


def from_arguments(args: argparse.Namespace) -> Any:
    """The preset, overridden by the given options."""
    from rclpy import qos
    from rclpy.duration import Duration

    profile = copy.copy(qos.QoSPresetProfiles.get_from_short_key(args.qos_profile))
    if args.qos_history:
        profile.history = qos.QoSHistoryPolicy.get_from_short_key(args.qos_history)
    if args.qos_durability:
        profile.durability = qos.QoSDurabilityPolicy.get_from_short_key(args.qos_durability)
    if args.qos_reliability:
        profile.reliability = qos.QoSReliabilityPolicy.get_from_short_key(args.qos_reliability)
    if args.qos_liveliness:
        profile.liveliness = qos.QoSLivelinessPolicy.get_from_short_key(args.qos_liveliness)
    if args.qos_liveliness_lease_duration_seconds:
        profile.liveliness_lease_duration = Duration(seconds=args.qos_liveliness_lease_duration_seconds)
    if args.qos_depth and args.qos_depth >= 0:
        profile.depth = args.qos_depth
    elif profile.durability == qos.QoSDurabilityPolicy.TRANSIENT_LOCAL and profile.depth == 0:
        profile.depth = 1
    return profile


def for_subscribing(node: Any, topic: str, args: argparse.Namespace) -> Any:
    """The requested profile, otherwise the strictest one that every publisher of the topic offers.

    Reliable if all are reliable, transient local if all are; prints a note if only some are.
    """
    from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy

    profile = from_arguments(args)
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    if not offers or any(getattr(args, f"qos_{option}") is not None for option in OPTIONS):
        return profile
    profile.reliability = _common(
        [offer.reliability for offer in offers], QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT
    )
    profile.durability = _common(
        [offer.durability for offer in offers], QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE
    )
    return profile


def _common(offered: list[Any], strict: Any, lax: Any) -> Any:
    count = offered.count(strict)
    if count == len(offered):
        return strict
    if count:
        print(
            f"Some, but not all, publishers are offering {type(strict).__name__}.{strict.name}. Falling back to "
            f"{type(lax).__name__}.{lax.name} as it will connect to all publishers"
        )
    return lax
