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

"""Look-ups in the ament resource index (the folders under `share/ament_index/resource_index`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ros2cli.errors import NotFound

_INDEX = Path("share", "ament_index", "resource_index")


def prefixes(environment: Mapping[str, str] | None = None) -> list[Path]:
    """The install prefixes in overlay order: `AMENT_PREFIX_PATH`, then the Python environment in use.

    The latter lets `ros2` of a virtual environment work without sourcing a setup file.
    """
    env = os.environ if environment is None else environment
    listed = [Path(part) for part in env.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if part]
    venv = Path(sys.prefix)
    if venv not in listed and (venv / _INDEX).is_dir():
        listed.append(venv)
    return listed


def package_prefix(name: str, environment: Mapping[str, str] | None = None) -> Path:
    """The prefix that holds package `name`; the first overlay takes precedence. Raises NotFound."""
    searched = prefixes(environment)
    if name and "/" not in name:
        for prefix in searched:
            if (prefix / _INDEX / "packages" / name).is_file():
                return prefix
    raise NotFound(f"package '{name}' not found, searching: [{', '.join(map(str, searched))}]")


def package_share(name: str, environment: Mapping[str, str] | None = None) -> Path:
    """`<prefix>/share/<name>`. Raises NotFound."""
    return package_prefix(name, environment) / "share" / name


def resources(kind: str) -> dict[str, Path]:
    """All entries of one kind (for example `packages`, `rosidl_interfaces`): name to prefix."""
    found: dict[str, Path] = {}
    for prefix in prefixes():
        folder = prefix / _INDEX / kind
        if folder.is_dir():
            for entry in folder.iterdir():
                if entry.is_file() and not entry.name.startswith("."):
                    found.setdefault(entry.name, prefix)
    return found


def resource_text(kind: str, name: str) -> str:
    """The content of one entry. Raises NotFound."""
    for prefix in prefixes():
        path = prefix / _INDEX / kind / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise NotFound(f"no '{name}' of kind '{kind}' in the ament index")


def executables(package: str) -> list[Path]:
    """The executable files under `<prefix>/lib/<package>`, sorted. Raises NotFound."""
    base = package_prefix(package) / "lib" / package
    found: list[Path] = []
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in files if os.access(Path(folder, name), os.X_OK)]
    return sorted(found)
