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

"""Publishes the times at which frames reached the stages of this process, while there are subscribers."""

from __future__ import annotations

from edgecam_core.tracer import TRACER, Mark
from rclpy.node import Node
from std_msgs.msg import String

DEPTH = 50


class TracePublisher:
    """Publishes the marks of the tracer, which all nodes of a process share; call ``publish`` once a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(String, "/edgecam/trace", DEPTH)

    def publish(self) -> None:
        """Switch the tracer on while there are subscribers, and send its marks."""
        TRACER.on = self._publisher.get_subscription_count() > 0
        marks = TRACER.take()
        if TRACER.on and marks:
            import json

            self._publisher.publish(String(data=json.dumps(marks)))


def marks_of(message: String) -> list[Mark]:
    """The marks in a message; none if it is invalid."""
    import json

    try:
        return [Mark(str(stage), int(stamp_ns), int(at_ns)) for stage, stamp_ns, at_ns in json.loads(message.data)]
    except (TypeError, ValueError):
        return []
