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

"""Message definitions for MCAP files, read from the installed interface packages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from edgecam_core.recording.message import RecordingError

_SEPARATOR = "=" * 80
# bool, string<=10, geometry_msgs/Point[3], Header: the type ends before the brackets of an array or limit of a string.
_FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)(<=\d+)?(\[[^\]]*\])?\s+[A-Za-z]\w*")
_PRIMITIVES = {"bool", "byte", "char", "float32", "float64", "string", "wstring"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def share_folders() -> list[Path]:
    """The folders with interface packages: ``share`` of every prefix in AMENT_PREFIX_PATH."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [Path(prefix) / "share" for prefix in prefixes if prefix]


def definition(type_name: str, folders: Sequence[Path]) -> str:
    """The definition of a message type (``sensor_msgs/msg/Image``), followed by those of all types it uses.

    The format is MCAP's ``ros2msg`` (https://mcap.dev/spec/registry#ros2msg), as rosbag2 writes it.

    Raises:
        RecordingError: a .msg file is not installed.
    """
    texts = {type_name: _text(type_name, folders)}
    waiting = [type_name]
    while waiting:
        one = waiting.pop(0)
        for used in _used(texts[one], one.partition("/")[0]):
            if used not in texts:
                texts[used] = _text(used, folders)
                waiting.append(used)
    parts = [texts.pop(type_name)]
    parts += [f"{_SEPARATOR}\nMSG: {name.replace('/msg/', '/')}\n{text}" for name, text in texts.items()]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def _text(type_name: str, folders: Sequence[Path]) -> str:
    package, _, name = type_name.partition("/msg/")
    for folder in folders:
        path = folder / package / "msg" / f"{name}.msg"
        if name and path.is_file():
            return path.read_text(encoding="utf-8")
    raise RecordingError(
        f"the definition of {type_name} is not installed: source the workspace with the package {package}"
    )


def _used(text: str, package: str) -> list[str]:
    """The message types of the fields in a definition, in order."""
    found = []
    for line in text.splitlines():
        match = _FIELD.match(line.partition("#")[0])
        if match is None or match[1] in _PRIMITIVES:
            continue
        owner, _, name = match[1].rpartition("/")
        owner = owner.removesuffix("/msg") or ("std_msgs" if name == "Header" else package)
        found.append(f"{owner}/msg/{name}")
    return found
