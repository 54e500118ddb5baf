"""One DiagnosticStatus a second from every node, under ``/diagnostics``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from edgecam_ros.process import ProcessUsage

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE


@dataclass(frozen=True)
class Status:
    """How a node is. ``values`` are shown as text; floats with at most three decimals, nan as ``-``."""

    level: bytes = OK
    message: str = "running"
    values: Mapping[str, object] = field(default_factory=dict)


def value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".") if math.isfinite(value) else "-"
    return str(value)


class DiagnosticsPublisher:
    """Asks ``report`` once a second and publishes what it says.

    The status is named ``<namespace>/<node>`` without the leading slash, as diagnostic_aggregator groups it. What the
    process costs is added to the values.
    """

    def __init__(self, node: Node, hardware_id: Callable[[], str], report: Callable[[], Status]) -> None:
        self._node = node
        self._hardware_id = hardware_id
        self._report = report
        self._usage = ProcessUsage()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self.publish)

    def publish(self) -> None:
        """Publish now; also called when the state changes."""
        status = self._report()
        values = {**status.values, **self._usage.values()}
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=status.level,
                name=self._node.get_fully_qualified_name().lstrip("/"),
                message=status.message,
                hardware_id=self._hardware_id(),
                values=[KeyValue(key=key, value=value_text(value)) for key, value in values.items()],
            )
        ]
        self._publisher.publish(message)
