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

"""The newest /diagnostics status of every node and its age. Bounded, because any program may publish there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_ros.duplicates import REMEDY, DuplicateNodes, NodeProcess, duplicate_text, process_of

from edgecam_viewer.text import one_line

LEVELS = ("ok", "warn", "error", "stale")
STALE_AFTER = 4.0  # seconds; nodes report once a second
FORGET_AFTER = 60.0
BITRATES = ("target_bitrate", "sent_bitrate", "estimated_bitrate")  # of the sender's diagnostics, bit/s
MAX_NODES = 200
MAX_VALUES = 100  # of one node
MAX_NAME, MAX_TEXT = 200, 500  # characters
# Node names and the names of their stages, in the order in which frames pass them.
STAGES = {
    "camera_driver": "camera",
    "rtp_sender": "sender",
    "rtp_receiver": "receiver",
    "detector": "detector",
}


@dataclass(frozen=True)
class NodeStatus:
    """The newest report of one node. ``level`` is one of LEVELS; ``at`` is its arrival in monotonic seconds."""

    name: str
    level: str
    message: str
    hardware_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    def number(self, key: str) -> float | None:
        """A value as a number; None if it is missing or not a finite number."""
        try:
            number = float(self.values[key])
        except (KeyError, ValueError):
            return None
        return number if math.isfinite(number) else None

    @property
    def process(self) -> NodeProcess | None:
        """Host and process id, if the node reports them; distinguishes two nodes of the same name."""
        return process_of(self.values)


class NodeStatusTable:
    """The newest status of every node, by name without the leading slash. Times are monotonic seconds.

    A restarted node replaces its old status. Nodes with the same name that report at the same time are distinguished
    by host and process. ``refused`` counts statuses of other nodes once MAX_NODES are known.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._nodes: dict[tuple[str, NodeProcess | None], NodeStatus] = {}
        self._duplicates = DuplicateNodes()

    def put(self, status: NodeStatus) -> None:
        key = (status.name, status.process)
        if key not in self._nodes and len(self._nodes) >= MAX_NODES:
            self._forget(status.at)
            if len(self._nodes) >= MAX_NODES:
                self.refused += 1
                return
        self._nodes[key] = status
        self._duplicates.add(status.name, status.process, status.at)

    def nodes(self, now: float) -> list[NodeStatus]:
        """All nodes by name; a node is stale after STALE_AFTER without a report, and removed after FORGET_AFTER.

        If several nodes have the same name, each is listed with its host and process and level ``error``.
        """
        self._forget(now)
        newest = {one.name: one for one in sorted(self._nodes.values(), key=lambda one: one.at)}
        duplicates = self._duplicates.found(now)
        shown = []
        for name, status in sorted(newest.items()):
            same = [self._nodes[name, process] for process in duplicates.get(name, ())]
            shown += [_duplicate(one, duplicates[name]) for one in same] or [_aged(status, now)]
        return shown

    def _forget(self, now: float) -> None:
        self._nodes = {key: one for key, one in self._nodes.items() if now - one.at < FORGET_AFTER}


def stage_nodes(nodes: Iterable[NodeStatus], namespace: str) -> dict[str, NodeStatus]:
    """The nodes of one namespace ('' or e.g. 'camera') by stage, in the order of the pipeline; excludes stale nodes."""
    prefix = f"{namespace.strip('/')}/" if namespace.strip("/") else ""
    by_name = {
        node.name.rpartition("/")[2]: node for node in nodes if node.name.startswith(prefix) and node.level != "stale"
    }
    return {stage: by_name[name] for name, stage in STAGES.items() if name in by_name}


def _duplicate(status: NodeStatus, processes: list[NodeProcess]) -> NodeStatus:
    text = f"{duplicate_text(status.name, processes)}: {REMEDY}; {status.message}"
    return replace(status, name=f"{status.name} on {status.process}", level="error", message=text)


def _aged(status: NodeStatus, now: float) -> NodeStatus:
    age = now - status.at
    if age <= STALE_AFTER:
        return status
    return replace(status, level="stale", message=f"no report for {age:.0f} s (was: {status.message})")


def node_statuses(message: DiagnosticArray, now: float) -> list[NodeStatus]:
    """The statuses of a message that arrived at ``now`` (monotonic seconds), with bounded texts and value counts."""
    return [_node_status(status, now) for status in message.status[:MAX_NODES]]


def _node_status(status: DiagnosticStatus, now: float) -> NodeStatus:
    level = status.level[0] if status.level else 0
    values = {one_line(pair.key, MAX_NAME): one_line(pair.value, MAX_TEXT) for pair in status.values[:MAX_VALUES]}
    return NodeStatus(
        name=one_line(status.name, MAX_NAME).lstrip("/"),
        level=LEVELS[level] if level < len(LEVELS) else "error",
        message=one_line(status.message, MAX_TEXT),
        hardware_id=one_line(status.hardware_id, MAX_TEXT),
        values=values,
        at=now,
    )
