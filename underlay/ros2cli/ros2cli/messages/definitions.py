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

"""Finds interface definitions (`.msg`, `.srv`, `.action`) in the index and formats them for `ros2 interface show`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ros2cli import ament_index
from ros2cli.errors import CliError

KINDS = {"msg": "Messages", "srv": "Services", "action": "Actions"}

_PRIMITIVES = {
    "bool", "byte", "char", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
    "uint64", "string", "wstring",
}  # fmt: skip
_FIELD = re.compile(r"\s*(?P<type>[A-Za-z][\w/]*)(?P<bound><=\d+)?(?P<array>\[[^\]]*\])?\s+(?P<name>\w+)")
_QUOTED = re.compile(r"""("(\\.|[^"\\])*"|'(\\.|[^'\\])*')""")


def interfaces(kind: str) -> dict[str, list[str]]:
    """Package to its interfaces of a kind (`msg`, `srv`, `action`), sorted: `{"std_msgs": ["msg/Bool", …]}`."""
    found: dict[str, list[str]] = {}
    for package in sorted(ament_index.resources("rosidl_interfaces")):
        names = set()
        for line in ament_index.resource_text("rosidl_interfaces", package).splitlines():
            path, _, suffix = line.rpartition(".")
            if path.startswith(kind + "/") and suffix in (kind, "idl") and "_" not in path:
                names.add(path)
        if names:
            found[package] = sorted(names)
    return found


def definition_path(name: str) -> Path:
    """The file of `package/kind/Name`. Raises CliError."""
    parts = name.split("/")
    if len(parts) != 3 or not all(parts) or ".." in parts:
        raise CliError(f"Invalid name '{name}'. Expected three parts separated by '/'")
    package, kind, _ = parts
    if package not in ament_index.resources("packages"):
        raise CliError(f"Unknown package '{package}'")
    path = ament_index.package_prefix(package) / "share" / f"{name}.{kind}"
    if not path.is_file():
        raise CliError(f"Could not find the interface '{path}'")
    return path


def show(name: str, comments: bool = True, nested_comments: bool = False, depth: int = 0) -> Iterator[str]:
    """The lines of a definition; each field is followed by the definition of its type, indented by tabs.

    Raises CliError for an unknown interface.
    """
    package = name.split("/")[0]
    for raw in definition_path(name).read_text(encoding="utf-8").splitlines():
        line = raw.rstrip()
        printed = line if comments else _without_comment(line)
        if printed or comments:
            yield "\t" * depth + printed if printed else ""
        nested = _nested_type(line, package)
        if nested:
            yield from show(nested, nested_comments, nested_comments, depth + 1)


def _without_comment(line: str) -> str:
    """The line up to a `#` that is not in quotes; unchanged if there is none."""
    masked = _QUOTED.sub(lambda match: "x" * len(match.group()), line)
    at = masked.find("#")
    return line if at < 0 else line[:at].strip()


def _nested_type(line: str, package: str) -> str | None:
    field = _FIELD.match(line)
    if field is None or field["type"] in _PRIMITIVES:
        return None
    parts = field["type"].split("/")
    if parts == ["Header"]:
        return "std_msgs/msg/Header"
    return "/".join([package, "msg", *parts] if len(parts) == 1 else [parts[0], "msg", parts[-1]])
