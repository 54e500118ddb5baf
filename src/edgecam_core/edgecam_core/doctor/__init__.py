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

"""The checks of ``edgecam doctor``. Each module of a ``doctor`` folder with a ``check`` function is one group.

``check() -> Iterable[Finding]`` changes nothing and takes a few seconds at most. The first line of the module's
docstring is the title of the group. If a check fails, this is reported as an error of its group; the others continue.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

FOLDERS = ("edgecam_core.doctor", "edgecam_ros.doctor")
TIMEOUT = 120.0  # of one group; on a busy machine the imports alone take half a minute
MIB = 2**20
FREE = "python3 -m edgecam_core.doctor --free"
"""Removes what killed processes left, and prints what it removed."""


class Level(IntEnum):
    """Severity of a finding. A note is a limitation, not a fault."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True)
class Finding:
    """One result. ``key`` is stable, for scripts; ``remedy`` is the command or step that fixes the problem."""

    key: str
    level: Level
    text: str
    remedy: str = ""
    group: str = ""

    def as_dict(self) -> dict[str, str]:
        return {
            "key": self.key,
            "level": self.level.name.lower(),
            "group": self.group,
            "text": self.text,
            "remedy": self.remedy,
        }


def ok(key: str, text: str) -> Finding:
    return Finding(key, Level.OK, text)


def note(key: str, text: str, remedy: str = "") -> Finding:
    return Finding(key, Level.NOTE, text, remedy)


def warning(key: str, text: str, remedy: str) -> Finding:
    return Finding(key, Level.WARNING, text, remedy)


def error(key: str, text: str, remedy: str) -> Finding:
    return Finding(key, Level.ERROR, text, remedy)


def examine(folders: Iterable[str] = FOLDERS) -> Iterator[Finding]:
    """Run the checks of all folders; a folder of a package that is not installed has none.

    Each group runs in a separate process, in parallel, so that a library that crashes or hangs becomes a finding.
    """
    runs = [(name, _start(name)) for folder in folders for name in _groups(folder)]
    for name, process in runs:
        yield from _results(name, process)


def examine_group(name: str) -> list[Finding]:
    """Run the checks of one module in this process."""
    module = importlib.import_module(name)
    group = (module.__doc__ or name).splitlines()[0].rstrip(".")
    found: list[Finding] = []
    try:
        found.extend(replace(one, group=group) for one in module.check())
    except Exception as problem:  # one failing check must not hide the other findings
        found.append(replace(_failed(name, f"{type(problem).__name__}: {problem}"), group=group))
    return found


def _groups(folder: str) -> list[str]:
    try:
        package = importlib.import_module(folder)
    except ModuleNotFoundError:
        return []
    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    return [f"{folder}.{name}" for name in modules if not name.startswith("_")]


def _start(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgecam_core.doctor", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _results(name: str, process: subprocess.Popen[str]) -> list[Finding]:
    try:
        output, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [_failed(name, f"did not finish within {TIMEOUT:.0f} s")]
    if process.returncode != 0:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return [_failed(name, f"its process ended with exit code {process.returncode}: {last}")]
    return [Finding(**{**one, "level": Level[one["level"].upper()]}) for one in json.loads(output.splitlines()[-1])]


def _failed(name: str, reason: str) -> Finding:
    short = name.rpartition(".")[2]
    remedy = f"python3 -m edgecam_core.doctor {name}  # shows its complete output"
    return Finding(f"{short}-check", Level.ERROR, f"this check failed: {reason}", remedy, short)
