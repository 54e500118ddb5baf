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

"""What ``edgecam doctor`` checks. Every module of a ``doctor`` folder with a ``check`` function is one group.

``check() -> Iterable[Finding]`` looks and changes nothing; it takes at most a few seconds. Its module's docstring
begins with the group's title. A check that itself fails is reported as an error of its group; the others go on.
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
TIMEOUT = 30.0


class Level(IntEnum):
    """How bad a finding is. A note is a fact that limits what can be done but is no fault."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``key`` is stable, for scripts; ``remedy`` is the command or step that cures it."""

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
    """Run every check of every folder; a folder whose package is not installed has none.

    Each group runs in its own process, in parallel: a library that crashes or hangs is reported as a finding.
    """
    runs = [(name, _start(name)) for folder in folders for name in _groups(folder)]
    for name, process in runs:
        yield from _results(name, process)


def examine_group(name: str) -> list[Finding]:
    """Run the checks of one module here."""
    module = importlib.import_module(name)
    group = (module.__doc__ or name).splitlines()[0].rstrip(".")
    found: list[Finding] = []
    try:
        found.extend(replace(one, group=group) for one in module.check())
    except Exception as problem:  # a fault of the machine must not hide the other findings
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
        return [_failed(name, f"its process ended with {process.returncode}: {last}")]
    return [Finding(**{**one, "level": Level[one["level"].upper()]}) for one in json.loads(output.splitlines()[-1])]


def _failed(name: str, reason: str) -> Finding:
    short = name.rpartition(".")[2]
    remedy = f"python3 -m edgecam_core.doctor {name}  # shows its whole output"
    return Finding(f"{short}-check", Level.ERROR, f"this check failed: {reason}", remedy, short)
