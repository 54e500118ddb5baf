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

"""Shared memory.

Fast DDS keeps a segment in /dev/shm for each participant and a file for each port. A process that uses one holds a
lock (flock) on its ``_el`` or ``_sl`` file. A killed process leaves its files behind without a lock.
:func:`free` removes only these files, like ``fastdds shm clean``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.doctor import FREE, MIB, Finding, ok, warning
from edgecam_core.files import unlocked

FOLDER = Path("/dev/shm")
_LOCK = re.compile(r"(?:fastdds|fastrtps)_(?:[0-9a-f]{16}|port\d{1,5})_(?:el|sl)")


@dataclass(frozen=True)
class Stale:
    """A segment or port that no process uses: its lock file, all its files, and their size in bytes."""

    lock: Path
    files: tuple[Path, ...]
    size: int
    removable: bool  # by this user


def check() -> Iterator[Finding]:
    found = stale()
    if not found:
        yield ok("stale-shared-memory", f"{FOLDER} contains no Fast DDS segment of a killed process")
        return
    size = sum(one.size for one in found) / MIB
    text = f"{FOLDER}: {size:.0f} MiB in Fast DDS segments and ports of killed processes ({len(found)})"
    remedy = FREE if all(one.removable for one in found) else f"sudo -E env PYTHONPATH=$PYTHONPATH {FREE}"
    yield warning("stale-shared-memory", text, f"{remedy}  # removes only files that no process has locked")


def stale(folder: Path = FOLDER) -> list[Stale]:
    """The segments and ports in a folder that no process uses. Changes nothing."""
    found = []
    for lock in _locks(folder):
        with unlocked(lock) as is_free:
            if is_free:
                found.append(_describe(lock))
    return found


def free(folder: Path = FOLDER) -> str:
    """Remove the segments and ports that no process uses; returns what was removed in words, empty if nothing.

    Holds each lock while removing, so that a process that opens the segment at the same time waits and finds it
    removed.
    """
    count = size = 0
    for lock in _locks(folder):
        with unlocked(lock) as is_free:
            one = _describe(lock) if is_free else None
            if one is None or not one.removable:
                continue
            for path in one.files:
                with suppress(FileNotFoundError):
                    path.unlink()
            count, size = count + 1, size + one.size
    what = f"{folder}: freed {size / MIB:.0f} MiB in Fast DDS segments and ports of killed processes ({count})"
    return what if count else ""


def _locks(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if _LOCK.fullmatch(path.name))
    return []


def _describe(lock: Path) -> Stale:
    segment = lock.with_name(lock.name[:-3])
    files = [segment, lock, lock.with_name(f"sem.{segment.name}_mutex")]
    facts = [path.stat() for path in files if path.exists()]
    mine = os.geteuid() == 0 or all(one.st_uid == os.geteuid() for one in facts)
    return Stale(lock, tuple(files), sum(one.st_size for one in facts), mine)
