"""DiagnosticArray messages as the board takes them."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray

from edgecam_viewer.board import LEVELS, NodeStatus


def node_statuses(message: DiagnosticArray, now: float) -> list[NodeStatus]:
    """The statuses of a message that arrived at ``now`` (monotonic seconds). Unknown levels count as errors."""
    statuses = []
    for status in message.status:
        level = status.level[0] if status.level else 0
        word = LEVELS[level] if level < len(LEVELS) else "error"
        values = {pair.key: pair.value for pair in status.values}
        statuses.append(NodeStatus(status.name, word, status.message, status.hardware_id, values, now))
    return statuses
