"""What the nodes say about themselves: the newest /diagnostics status of each, and how old it is. No ROS inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray

LEVELS = ("ok", "warn", "error", "stale")
STALE_AFTER = 4.0  # seconds; nodes report once a second
FORGET_AFTER = 60.0
# Node name and what its stage is called, in the order a frame passes them.
STAGES = {
    "camera_driver": "camera",
    "rtp_sender": "sender",
    "rtp_receiver": "receiver",
    "detector": "detector",
}


@dataclass(frozen=True)
class NodeStatus:
    """One node's newest report. ``level`` is a word of LEVELS; ``at`` is monotonic seconds of its arrival."""

    name: str
    level: str
    message: str
    hardware_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    def number(self, key: str) -> float | None:
        """The value as a number, None when it is not there or not one."""
        try:
            return float(self.values[key])
        except (KeyError, ValueError):
            return None


class NodeStatusTable:
    """The newest status of every node, by name without the leading slash. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeStatus] = {}

    def put(self, status: NodeStatus) -> None:
        self._nodes[status.name.lstrip("/")] = status

    def nodes(self, now: float) -> list[NodeStatus]:
        """All nodes by name; one that has been silent for STALE_AFTER is stale, after FORGET_AFTER it is gone."""
        self._nodes = {name: one for name, one in self._nodes.items() if now - one.at < FORGET_AFTER}
        return [_aged(self._nodes[name], now) for name in sorted(self._nodes)]

    def get(self, name: str, now: float) -> NodeStatus | None:
        one = self._nodes.get(name.lstrip("/"))
        return _aged(one, now) if one else None


def stage_nodes(nodes: Iterable[NodeStatus], namespace: str) -> dict[str, NodeStatus]:
    """The nodes of one namespace ('' or e.g. 'camera') that a frame passes, by stage, in its order; stale ones not."""
    prefix = f"{namespace.strip('/')}/" if namespace.strip("/") else ""
    by_name = {
        node.name.rpartition("/")[2]: node for node in nodes if node.name.startswith(prefix) and node.level != "stale"
    }
    return {stage: by_name[name] for name, stage in STAGES.items() if name in by_name}


def _aged(status: NodeStatus, now: float) -> NodeStatus:
    age = now - status.at
    if age <= STALE_AFTER:
        return status
    text = f"silent for {age:.0f} s (was: {status.message})"
    return NodeStatus(status.name, "stale", text, status.hardware_id, status.values, status.at)


def node_statuses(message: DiagnosticArray, now: float) -> list[NodeStatus]:
    """The statuses of a message that arrived at ``now`` (monotonic seconds). Unknown levels count as errors."""
    statuses = []
    for status in message.status:
        level = status.level[0] if status.level else 0
        word = LEVELS[level] if level < len(LEVELS) else "error"
        values = {pair.key: pair.value for pair in status.values}
        statuses.append(NodeStatus(status.name, word, status.message, status.hardware_id, values, now))
    return statuses
