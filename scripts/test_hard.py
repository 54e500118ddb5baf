#!/usr/bin/env python3
"""Run the tests under bad conditions, five times: with four busy processes, on one core, in random order.

PARTS chooses the parts (default: all with tests), PYTEST_ARGS the tests, HARD_RUNS and HARD_BUSY the numbers. Ends
with a row for each run, the names of what failed, and the line "N passed, N failed, N skipped". Takes hours.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import subprocess
import sys
from collections.abc import Iterator

import run_parts
from run_parts import CHECKS, PARTS, ROOT, PartResult

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


def run(heading: str, prefix: list[str], pytest_args: list[str]) -> PartResult:
    """Run all selected parts and combine their results into one row."""
    print(f"\n######## {heading} ########", flush=True)
    folder = ROOT / "log" / "test"
    folder.mkdir(parents=True, exist_ok=True)
    run_parts.free_shared_memory()
    args = [*shlex.split(os.environ.get("PYTEST_ARGS", "")), *pytest_args]
    parts = os.environ.get("PARTS") or " ".join(part for part in PARTS if part not in CHECKS)
    results = run_parts.run_all(parts.split(), args, prefix, folder, lanes=1)
    run_parts.count_skips_once(results)
    whole = PartResult(heading)
    for result in results:
        whole.seconds += result.seconds
        whole.passed |= {f"{result.part}: {name}" for name in result.passed}
        whole.failed |= {f"{result.part}: {name}" for name in result.failed}
        whole.skipped |= result.skipped
    print(f"\n{run_parts.summary([whole], 'run')}", flush=True)
    return whole


def main() -> int:
    runs, load = int(os.environ.get("HARD_RUNS", "5")), int(os.environ.get("HARD_BUSY", "4"))
    done = []
    with busy(load):
        done += [run(f"{number + 1}, {load} busy processes", [], []) for number in range(runs)]
    done.append(run("one core", ["taskset", "-c", "0"], []))
    seed = random.randrange(2**32)
    done.append(run(f"random order {seed}", [], ["-p", "randomly", f"--randomly-seed={seed}", *UNSEEDED]))
    print(f"\n{run_parts.summary(done, 'run')}", flush=True)
    return 1 if any(one.failed for one in done) else 0


UNSEEDED = ("--randomly-dont-reset-seed",)  # tests choose random ports and ids, which must differ between tests

if __name__ == "__main__":
    sys.exit(main())
