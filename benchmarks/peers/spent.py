"""Elapsed time and CPU time of a measured section in this process."""

from __future__ import annotations

import json
import resource
import time


class Spent:
    """Starts measuring when constructed; ``report`` prints one JSON line."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), _cpu()

    def report(self, frames: int) -> None:
        wall, cpu = time.monotonic() - self._wall, _cpu() - self._cpu
        print(json.dumps({"frames": frames, "fps": frames / wall, "cpu_ms": 1e3 * cpu / max(1, frames)}), flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
