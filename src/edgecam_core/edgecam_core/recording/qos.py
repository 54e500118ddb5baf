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

"""QoS profiles in rosbag2's format: YAML with the policy names of rmw (metadata version 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

FOREVER_NS = 2**63 - 1
"""rmw's infinite duration."""


@dataclass(frozen=True, slots=True)
class Qos:
    """One offered profile, with rmw's names of policies: keep_last, reliable, volatile, automatic, ..."""

    history: str = "keep_last"
    depth: int = 10
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline_ns: int = FOREVER_NS
    lifespan_ns: int = FOREVER_NS
    liveliness: str = "automatic"
    lease_ns: int = FOREVER_NS

    def as_dict(self) -> dict[str, object]:
        """The profile as rosbag2 writes it."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _time(self.deadline_ns),
            "lifespan": _time(self.lifespan_ns),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _time(self.lease_ns),
            "avoid_ros_namespace_conventions": False,
        }


def _time(nanoseconds: int) -> dict[str, int]:
    seconds, rest = divmod(nanoseconds, 10**9)
    return {"sec": seconds, "nsec": rest}


def dump(profiles: Sequence[Qos]) -> str:
    """The profiles as the text of ``offered_qos_profiles``; empty if there are none."""
    return yaml.safe_dump([one.as_dict() for one in profiles], sort_keys=False) if profiles else ""


# Values of rmw's enumerations, used by bags up to metadata version 8.
_NUMBERS = {
    "history": {1: "keep_last", 2: "keep_all"},
    "reliability": {1: "reliable", 2: "best_effort"},
    "durability": {1: "transient_local", 2: "volatile"},
}


def load(text: str) -> list[dict[str, object]]:
    """Parse stored profiles of any metadata version, with policies as text; [] if they cannot be parsed."""
    try:
        found = yaml.safe_load(text) if text else []
    except yaml.YAMLError:
        return []
    profiles = [dict(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    for one in profiles:
        for key, names in _NUMBERS.items():
            value = one.get(key)
            one[key] = names.get(value, "unknown") if isinstance(value, int) else value
    return profiles


def is_latched(text: str) -> bool:
    """Whether all publishers offered transient local."""
    profiles = load(text)
    return bool(profiles) and all(one.get("durability") == "transient_local" for one in profiles)


def is_best_effort(text: str) -> bool:
    """Whether any publisher offered only best effort."""
    return any(one.get("reliability") == "best_effort" for one in load(text))
