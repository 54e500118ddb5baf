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

"""CPU and memory use of this process, for the diagnostics of its nodes."""

from __future__ import annotations

import os
import resource
import time


class ProcessUsage:
    """CPU and memory use of the process, which is the same for all its nodes."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def values(self) -> dict[str, object]:
        """``cpu_percent`` of one core since the last call, resident ``memory_mb``, ``pid`` and ``host``.

        Takes microseconds.
        """
        wall, cpu = time.monotonic(), time.process_time()
        share = (cpu - self._cpu) / (wall - self._wall) if wall > self._wall else 0.0
        self._wall, self._cpu = wall, cpu
        return {
            "cpu_percent": round(100 * share, 1),
            "memory_mb": round(resident_bytes() / 2**20),
            "pid": os.getpid(),
            "host": os.uname().nodename,
        }


def resident_bytes() -> int:
    """Resident memory of this process; its peak if /proc is not available."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
