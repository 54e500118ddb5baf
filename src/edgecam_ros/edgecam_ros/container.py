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

"""Runs several nodes in one process, so that frames pass between them without serialisation.

    container_node edgecam_camera.node:CameraNode edgecam_detector.node:DetectorNode --ros-args \\
        -r __ns:=/camera -p camera_driver:source:=v4l2:///dev/video0 -p detector:model:=my.onnx

Nodes start in the given order: put the camera first. Prefix a single node's parameters and remappings with its name
and a colon, as usual in ROS 2. The process ends when any of its nodes ends.
"""

from __future__ import annotations

import sys
from importlib import import_module

from edgecam_core.errors import EdgecamError, SettingError

from edgecam_ros.main import EXIT_BAD_PARAMETER, run_all
from edgecam_ros.node import EdgecamNode


def node_type(text: str) -> type[EdgecamNode]:
    """The class named by ``package.module:Class``.

    Raises:
        SettingError: there is no such module or class, or it is not an edgecam node.
    """
    module, _, name = text.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError("node", text, f"cannot be found ({error}); use package.module:Class") from error
    if not (isinstance(found, type) and issubclass(found, EdgecamNode)):
        raise SettingError("node", text, "is not an edgecam node")
    return found


def main(args: list[str] | None = None) -> int:
    words = list(sys.argv[1:] if args is None else args)
    names = words[: words.index("--ros-args")] if "--ros-args" in words else words
    try:
        if not names:
            raise SettingError("node", "", "is missing; give one or more package.module:Class")
        types = [node_type(name) for name in names]
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_PARAMETER
    EdgecamNode.neighbours = frozenset(name for one in types for name in one.settings_type.specs())
    return run_all(types, [sys.argv[0], *words[len(names) :]])


if __name__ == "__main__":
    sys.exit(main())
