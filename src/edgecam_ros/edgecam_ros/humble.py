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

"""Adds to Humble's launch 1.0 the attribute ``on_exit`` of a node in an XML launch file.

A launch extension (entry point ``launch.frontend.launch_extension``), loaded by ``ros2 launch``. On Humble
the launch files are installed with ``<humble_node>`` instead of ``<node>`` (edgecam_bringup/CMakeLists.txt). Delete
this file when Humble is no longer supported.
"""

from __future__ import annotations

from typing import Any

from launch.actions import Shutdown
from launch.frontend import Entity, Parser, expose_action
from launch_ros.actions import Node


@expose_action("humble_node")
class HumbleNode(Node):
    """A ``<node>`` that supports ``on_exit="shutdown"``: the launch ends with the node."""

    @classmethod
    def parse(cls, entity: Entity, parser: Parser) -> tuple[type[HumbleNode], dict[str, Any]]:
        """Parse the element.

        Raises:
            ValueError: ``on_exit`` has another value, as in launch from Iron on.
        """
        on_exit = entity.get_attr("on_exit", optional=True)
        _, arguments = super().parse(entity, parser)
        if on_exit == "shutdown":
            arguments["on_exit"] = [Shutdown(reason="a node ended")]
        elif on_exit is not None:
            raise ValueError(f"on_exit is '{on_exit}': only 'shutdown' is supported")
        return cls, arguments
