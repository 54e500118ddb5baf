#!/usr/bin/env python3
"""Run the tests under bad conditions: five times with four busy processes, once on one core, once in random order.

PARTS chooses the parts (default: all with tests), PYTEST_ARGS the tests, HARD_RUNS and HARD_BUSY the numbers. Ends
with a row for each run, the names of what failed, and the line "N passed, N failed, N skipped". It takes hours: each
row is stored in log/test/hard.json as its run ends, and a second start on the same commit with the same settings makes
only the missing runs. Delete the file to begin again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import run_parts
from run_parts import CHECKS, PARTS, ROOT, PartResult

RESULTS = ROOT / "log" / "test"
UNSEEDED = ("--randomly-dont-reset-seed",)  # tests choose random ports and ids, which must differ between tests

BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Start this number of busy processes; they end when this process ends, even if it is killed."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(heading: str, parts: list[str], prefix: list[str], pytest_args: list[str], lanes: int) -> PartResult:
    """Run the parts and combine their results into one row."""
    print(f"\n######## {heading} ########", flush=True)
    run_parts.free_leftovers()
    begin = time.monotonic()
    args = [*shlex.split(os.environ.get("PYTEST_ARGS", "")), *pytest_args]
    results = run_parts.run_all(parts, args, prefix, RESULTS, lanes, yielding=())  # the busy processes do not yield
    run_parts.count_skips_once(results)
    whole = PartResult(heading, time.monotonic() - begin)
    for result in results:
        whole.passed |= {f"{result.part}: {name}" for name in result.passed}
        whole.failed |= {f"{result.part}: {name}" for name in result.failed}
        whole.skipped |= result.skipped
    print(f"\n{run_parts.summary([whole], 'run')}", flush=True)
    return whole


class StoredRows:
    """The rows of finished runs in a file, for one commit and one set of settings."""

    def __init__(self, path: Path, settings: dict[str, str]) -> None:
        self._path, self._settings = path, settings
        self._rows: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["settings"] == settings and settings["commit"]:
                self._rows = stored["rows"]

    def of(self, name: str, run: Callable[[str], PartResult]) -> PartResult:
        """The row of the run of this name, which is stored; runs it if there is none."""
        if (row := self._rows.get(name)) is not None:
            print(f"{name}: done before", flush=True)
            return PartResult(row["part"], row["seconds"], set(row["passed"]), set(row["failed"]), row["skipped"])
        result = run(name)
        self._rows[name] = {
            key: sorted(value) if isinstance(value, set) else value for key, value in vars(result).items()
        }
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps({"settings": self._settings, "rows": self._rows}), encoding="utf-8")
        part.replace(self._path)
        return result


def commit() -> str:
    """The commit of the working tree; empty if it has changes or is no clone, for then no two runs are comparable."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=-changed"]
    name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return "" if name.endswith("-changed") else name


def main() -> int:
    runs, load = int(os.environ.get("HARD_RUNS", "5")), int(os.environ.get("HARD_BUSY", "4"))
    parts = run_parts.names(os.environ.get("PARTS") or " ".join(part for part in PARTS if part not in CHECKS))
    RESULTS.mkdir(parents=True, exist_ok=True)
    settings = {"commit": commit(), "parts": " ".join(parts), "pytest": os.environ.get("PYTEST_ARGS", "")}
    rows = StoredRows(RESULTS / "hard.json", settings)
    done = []
    for number in range(1, runs + 1):
        with busy(load):
            done.append(rows.of(f"{number}, {load} busy processes", lambda name: run(name, parts, [], [], lanes=2)))
    done.append(rows.of("one core", lambda name: run(name, parts, ["taskset", "-c", "0"], [], lanes=1)))
    seed = random.randrange(2**32)
    shuffled = ["-p", "randomly", f"--randomly-seed={seed}", *UNSEEDED]
    done.append(rows.of("random order", lambda name: run(f"{name} {seed}", parts, [], shuffled, lanes=2)))
    print(f"\n{run_parts.summary(done, 'run')}", flush=True)
    return 1 if any(one.failed for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
