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

"""Explains in a terminal why no message arrives on a topic."""

from __future__ import annotations

from typing import Any

MAX_NAMED = 5


def missing_publisher(node: Any, topic: str, type_name: str) -> str:
    """Why no message of a type (e.g. ``sensor_msgs/msg/Image``) can arrive on the topic; empty if it is published.

    ``node`` is an rclpy node. Call about a second after creating the node, because discovery takes time.
    """
    full = node.resolve_topic_name(topic)
    types = sorted({one.topic_type for one in node.get_publishers_info_by_topic(full)})
    if type_name in types:
        return ""
    if types:
        return f"topic {full} has type {', '.join(types)}, not {type_name}"
    others = [name for name, kinds in node.get_topic_names_and_types() if type_name in kinds]
    published = sorted(name for name in others if node.count_publishers(name))
    if published:
        return f"{full} has no publisher; {type_name} is published on {', '.join(published[:MAX_NAMED])}"
    domain = node.context.get_domain_id()
    return (
        f"{full} has no publisher, and no topic of type {type_name} has one in ROS_DOMAIN_ID {domain}; "
        "start the camera node"
    )
