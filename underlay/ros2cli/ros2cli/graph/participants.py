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

"""Counts the DDS participants of a domain on this host without using DDS.

DDSI-RTPS 2.5, 9.6.2.3 (default port numbers): a participant listens for unicast discovery on UDP port
7400 + 250 × domain + 10 + 2 × index. By counting the bound ports, a command knows when it has discovered all
local participants: discovery on one host usually takes 0.1 s, but up to 3.5 s if an announcement is lost.

The kernel gives `/proc/net/udp` a page at a time. While other processes open and close sockets, a reading may lack any
socket; the union of several readings doesn't.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

PORT_BASE, DOMAIN_GAIN, UNICAST_OFFSET = 7400, 250, 10
INDICES = 120
"""Participant indices whose ports belong to the domain."""
READINGS = 10
"""Readings of the tables whose union is complete: on a busy machine one in twenty lacks a socket."""


def domain_id() -> int:
    """`ROS_DOMAIN_ID`, 0 by default."""
    try:
        return int(os.environ.get("ROS_DOMAIN_ID") or 0)
    except ValueError:
        return 0


def discovery_ports(domain: int, table: str) -> set[int]:
    """The domain's bound unicast discovery ports, from the text of `/proc/net/udp`."""
    first = PORT_BASE + DOMAIN_GAIN * domain + UNICAST_OFFSET
    found = set()
    for line in table.splitlines()[1:]:
        port = int(line.split()[1].rpartition(":")[2], 16)
        if 0 <= port - first < 2 * INDICES and (port - first) % 2 == 0:
            found.add(port)
    return found


def bound_ports(domain: int) -> set[int]:
    """One reading of the domain's discovery ports on this host, which may be incomplete."""
    found: set[int] = set()
    for name in ("udp", "udp6"):
        try:
            found |= discovery_ports(domain, Path("/proc/net", name).read_text())
        except OSError:
            continue
    return found


class LocalParticipants:
    """The participants of a domain on this host; one that has ended counts until `READINGS` readings lack it."""

    def __init__(self, domain: int) -> None:
        self._domain = domain
        self._readings: deque[set[int]] = deque(maxlen=READINGS)

    def read(self) -> None:
        """Read the tables of sockets once more (about a millisecond)."""
        self._readings.append(bound_ports(self._domain))

    def count(self) -> int:
        """The number of participants; 0 if it cannot be determined, or not yet."""
        return len(set().union(*self._readings)) if len(self._readings) == READINGS else 0
