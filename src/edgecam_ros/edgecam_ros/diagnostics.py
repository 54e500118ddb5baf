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

"""Publishes a DiagnosticStatus of each node on ``/diagnostics``, once a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from edgecam_core.masking import masked
from rclpy.node import Node

from edgecam_ros.process import ProcessUsage

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE


@dataclass(frozen=True)
class Status:
    """The status of a node. ``values`` are published as text: floats with up to three decimals, nan as ``-``."""

    level: bytes = OK
    message: str = "running"
    values: Mapping[str, object] = field(default_factory=dict)


def value_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".") if math.isfinite(value) else "-"
    return str(value)


class DiagnosticsPublisher:
    """Publishes the status returned by ``report``; the owner calls ``publish`` once a second.

    The name of the status is ``<namespace>/<node>`` without the leading slash, as diagnostic_aggregator expects it. CPU
    and memory use of the process are added to the values.
    """

    def __init__(self, node: Node, hardware_id: Callable[[], str], report: Callable[[], Status]) -> None:
        self._node = node
        self._hardware_id = hardware_id
        self._report = report
        self._usage = ProcessUsage()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def publish(self) -> None:
        status = self._report()
        values = {**status.values, **self._usage.values()}
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=status.level,
                name=self._node.get_fully_qualified_name().lstrip("/"),
                message=masked(status.message),
                hardware_id=masked(self._hardware_id()),
                values=[KeyValue(key=key, value=masked(value_text(value))) for key, value in values.items()],
            )
        ]
        self._publisher.publish(message)
