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

"""Temporary files.

A process that is killed with SIGKILL leaves its temporary folder behind, for instance a model that was being quantised.
The lock in the folder (edgecam_core/temporary.py) says whether its process still runs.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edgecam_core.doctor import FREE, MIB, Finding, ok, warning
from edgecam_core.files import unlocked
from edgecam_core.temporary import IN_USE


def check() -> Iterator[Finding]:
    folder = Path(tempfile.gettempdir())
    if found := stale(folder):
        text = f"{_folders(len(found))} of killed processes: {sum(map(_size, found)) / MIB:.0f} MiB of {folder}"
        yield warning("stale-temporary-folders", text, f"{FREE}  # removes only folders that no process has locked")
    else:
        yield ok("stale-temporary-folders", f"{folder} contains no folder of a killed process")


def stale(folder: Path) -> list[Path]:
    """The temporary folders of edgecam in a folder that belong to this user and that no process uses."""
    found = []
    for lock in _locks(folder):
        with unlocked(lock) as is_free:
            if is_free:
                found.append(lock.parent)
    return found


def free() -> str:
    """Remove the temporary folders that no process uses; returns what was removed in words, empty if nothing."""
    folder = Path(tempfile.gettempdir())
    count = size = 0
    for lock in _locks(folder):
        with unlocked(lock) as is_free:
            if is_free:
                count, size = count + 1, size + _size(lock.parent)
                shutil.rmtree(lock.parent, ignore_errors=True)
    return f"removed {_folders(count)} of killed processes, {size / MIB:.0f} MiB of {folder}" if count else ""


def _locks(folder: Path) -> list[Path]:
    """The lock files in the temporary folders of this user; a link could lead anywhere and is none."""
    found = []
    for lock in sorted(folder.glob(f"edgecam-*/{IN_USE}")):
        with suppress(OSError):
            facts = lock.parent.lstat()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
                found.append(lock)
    return found


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size
    return size


def _folders(count: int) -> str:
    return f"{count} temporary {'folder' if count == 1 else 'folders'}"
