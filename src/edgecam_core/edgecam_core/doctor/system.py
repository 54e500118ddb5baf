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

"""System."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from edgecam_core.cache import cache_dir
from edgecam_core.doctor import FREE, MIB, Finding, error, note, ok, warning
from edgecam_core.files import free_bytes

CACHE_NEEDS = 500 * MIB  # a model, its engine, and space to rewrite them
SHM_NEEDS = 512 * MIB  # 40 MiB for each process that publishes frames, 8 for each other one, and room for more
SOCKET_BUFFER = 2 * MIB  # enough for a keyframe of a 1080p stream
UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)


def check() -> Iterator[Finding]:
    yield _cache(cache_dir("models"))
    yield _shared_memory(Path("/dev/shm"))
    yield from _cameras(sorted(glob.glob("/dev/video*")))
    yield _socket_buffer(Path("/proc/sys/net/core/rmem_max"))
    yield _clock()


def _cache(folder: Path) -> Finding:
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("/"))
    remedy = "set EDGECAM_CACHE to a writable folder, e.g. export EDGECAM_CACHE=/var/tmp/edgecam"
    if not existing.is_dir():
        return error("cache", f"the cache {folder} cannot be created: {existing} is not a folder", remedy)
    if not os.access(existing, os.W_OK):
        return error("cache", f"the cache {folder} is not writable: no permission in {existing}", remedy)
    free = free_bytes(folder)
    if free < CACHE_NEEDS:
        return error("cache", f"only {free // MIB} MiB are free for the cache {folder}: too little for a model", remedy)
    return ok("cache", f"cache {folder}, {free // MIB} MiB free")


def _shared_memory(folder: Path) -> Finding:
    if not folder.is_dir():
        return warning("shared-memory", f"no {folder}: images between processes go over UDP", "mount a tmpfs there")
    size = shutil.disk_usage(folder)
    if size.total < SHM_NEEDS:
        text = f"{folder} has {size.total // MIB} MiB: each process that publishes images needs 40 MiB"
        return error("shared-memory", text, "in a container: docker run --shm-size=1g or --ipc=host")
    if size.free < SHM_NEEDS // 4:
        remedy = f"free the memory of killed nodes: {FREE}"
        return warning("shared-memory", f"{folder} has only {size.free // MIB} MiB free", remedy)
    return ok("shared-memory", f"{folder}: {size.free // MIB} MiB free")


def may_open(facts: os.stat_result, user: int, groups: Collection[int]) -> bool:
    """Whether a user (not root) may read and write a device with this ``stat`` result."""
    for mine, bits in ((facts.st_uid == user, 6 << 6), (facts.st_gid in groups, 6 << 3)):
        if mine:
            return facts.st_mode & bits == bits
    return facts.st_mode & 6 == 6


def _cameras(devices: list[str]) -> Iterator[Finding]:
    if not devices:
        yield note("camera-devices", "no /dev/video*: no USB camera is plugged in (or not passed into the container)")
    for device in devices:
        facts = os.stat(device)
        if not stat.S_ISCHR(facts.st_mode):
            yield error("camera-devices", f"{device} is not a device", f"sudo rm {device}")
        elif os.getuid() == 0 or may_open(facts, os.getuid(), os.getgroups()):
            yield ok("camera-devices", f"{device} can be opened")
        else:
            yield error("camera-devices", f"you have no permission to open {device}",
                        "sudo usermod -aG video $USER, then log in again")  # fmt: skip


def _socket_buffer(path: Path) -> Finding:
    if not path.exists():
        return note("udp-buffer", f"{path} is not readable on this machine")
    size = int(path.read_text())
    if size < SOCKET_BUFFER:
        text = f"UDP sockets can buffer only {size // 1024} KiB: packets of a burst are lost"
        return warning("udp-buffer", text, f"sudo sysctl -w net.core.rmem_max={2 * SOCKET_BUFFER}")
    return ok("udp-buffer", f"UDP sockets can buffer {size // 1024} KiB")


def _clock() -> Finding:
    """Whether the clock is synchronised; only then can stamps of two machines be compared."""
    facts = (ctypes.c_long * 32)()  # struct timex with modes = 0, which only reads
    status_at = 5 if ctypes.sizeof(ctypes.c_long) == 8 else 4  # modes, offset, freq, maxerror, esterror, status
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(facts)
    except (OSError, AttributeError):
        return note("clock", "the state of the clock cannot be read")
    if state < 0:
        return note("clock", f"the state of the clock cannot be read ({os.strerror(ctypes.get_errno())})")
    if facts[status_at] & UNSYNCHRONISED:
        return note("clock", "the clock is not synchronised: latencies between machines are not reliable",
                    "sudo apt-get install chrony")  # fmt: skip
    return ok("clock", "the clock is synchronised")
