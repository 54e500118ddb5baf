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

"""Detects nodes with the same name in one domain by host and process id in their diagnostics. Independent of ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

TOGETHER = 3.0  # seconds; nodes report once a second; a restarted node has a new process id
REMEDY = "stop one, or give it another namespace (namespace:=/name) or domain (ROS_DOMAIN_ID)"


class NodeProcess(NamedTuple):
    """The process of a node."""

    host: str
    pid: str

    def __str__(self) -> str:
        return f"{self.host} (pid {self.pid})"


def process_of(values: Mapping[str, str]) -> NodeProcess | None:
    """The process named by the values ``host`` and ``pid`` of a diagnostics status; None without ``pid``."""
    return NodeProcess(values.get("host") or "unknown host", values["pid"]) if values.get("pid") else None


class DuplicateNodes:
    """Finds node names that more than one process uses. Times are seconds of a monotonic clock.

    A process is remembered for TOGETHER seconds after its last report. It does not count if it stopped reporting before
    the newest process with its name started, because then the node was restarted.
    """

    def __init__(self) -> None:
        self._seen: dict[str, dict[NodeProcess, tuple[float, float]]] = {}  # first and last report

    def add(self, name: str, process: NodeProcess | None, now: float) -> None:
        """Add the report of a node; ignored without a process."""
        self._forget(now)
        if process is not None:
            processes = self._seen.setdefault(name.lstrip("/"), {})
            first, _ = processes.get(process, (now, now))
            processes[process] = (first, now)

    def together(self, name: str, now: float) -> list[NodeProcess]:
        """The processes that use this name now: none, one, or several that conflict."""
        self._forget(now)
        processes = self._seen.get(name.lstrip("/"), {})
        latest_start = max((first for first, _ in processes.values()), default=0.0)
        return sorted(process for process, (_, last) in processes.items() if last >= latest_start)

    def found(self, now: float) -> dict[str, list[NodeProcess]]:
        """Each name with more than one process."""
        processes = {name: self.together(name, now) for name in sorted(self._seen)}
        return {name: together for name, together in processes.items() if len(together) > 1}

    def _forget(self, now: float) -> None:
        for name, processes in list(self._seen.items()):
            for process in [one for one, (_, last) in processes.items() if now - last > TOGETHER]:
                del processes[process]
            if not processes:
                del self._seen[name]


def duplicate_text(name: str, processes: Sequence[NodeProcess]) -> str:
    """One line for the user about a duplicate name."""
    return f"{len(processes)} nodes are named /{name}: {', '.join(map(str, processes))}; their topics mix"
