#!/usr/bin/env python3
"""Run all parts of the test suite, even if one fails, and end with a table.

Each part is a target of the Makefile. Two run at a time, so that both cores stay busy, the longest first; the parts
that use ROS never run beside each other. The output of each part goes to log/test/PART.log and to the screen, in the
order of the parts. The results of pytest come from its JUnit files in log/test/. A test that one part skips and another
runs (PyTorch is in the training environment alone) is not counted as skipped, and one that two parts skip counts once.
If FEW tests or fewer of a part fail, they run again after all parts, one after the other: those that pass count as
passed and are listed as unstable. make test-hard, which looks for unstable tests, gives no second run. A part that
leaves processes, shared memory or files behind fails (scripts/leftovers.py). The last line is "N passed, N failed, N
skipped"; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LEFTOVERS = Path(__file__).with_name("leftovers.py")
FEW = 5
CHECKS = ("lint", "types", "docs")
DOCS_PYTHON = (3, 11)  # the oldest Python for the pinned packages of requirements/docs.txt
LEFT = "left behind: "
PARTS = (*CHECKS, "backends", "unit", "node", "launch-tests", "training-tests")
ROS_PARTS = ("node", "launch-tests")  # their processes wait for discovery and frames most of the time
BY_LENGTH = ("training-tests", "unit", "docs", "types", "backends", "lint")  # the others, the longest first
YIELDING = ["nice", "-n", "5"]  # for the parts beside them: frames and messages do not wait for a compiler


@dataclass
class PartResult:
    """The result of one part. Tests are named by class and name, as in JUnit."""

    part: str
    seconds: float = 0.0
    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)  # test -> reason
    unstable: set[str] = field(default_factory=set)  # failed, then passed alone; among passed

    def row(self) -> tuple[str, int, int, int, int]:
        return self.part, len(self.passed), len(self.failed), len(self.skipped), round(self.seconds)


def run_all(
    parts: list[str],
    pytest_args: list[str],
    prefix: list[str],
    results: Path,
    lanes: int = 2,
    yielding: Sequence[str] = YIELDING,
) -> list[PartResult]:
    """Run the parts, ``lanes`` of them at a time; the longest begin first, so that the lanes end together.

    ``yielding`` is put before the commands of the parts that run beside those that use ROS.
    """
    ros = [part for part in parts if part in ROS_PARTS]  # one after the other
    others = sorted(set(parts) - set(ros), key=BY_LENGTH.index)
    chains = [ros, *([part] for part in others)] if lanes > 1 else [parts]
    if lanes == 1 or not ros:
        yielding = ()
    done: dict[str, Future[PartResult]] = {part: Future() for part in parts}

    def run_chain(chain: list[str]) -> None:
        for part in chain:
            if not done[part].set_running_or_notify_cancel():
                return
            try:
                first = prefix if part in ROS_PARTS else [*prefix, *yielding]
                done[part].set_result(run_part(part, pytest_args, first, results))
            except Exception as error:
                done[part].set_exception(error)

    for part in parts:
        log_of(part, results).write_bytes(b"")
    with ThreadPoolExecutor(lanes) as pool:
        try:
            for chain in chains:
                pool.submit(run_chain, chain)
            ended = [follow(part, done[part], results) for part in parts]
        finally:
            for future in done.values():
                future.cancel()
    count_left_once(ended)
    return ended


def log_of(part: str, results: Path) -> Path:
    return results / f"{part}.log"


def follow(part: str, future: Future[PartResult], results: Path) -> PartResult:
    """Copy the part's output to the screen until it has ended."""
    print(f"\n==== {part} ====", flush=True)
    with log_of(part, results).open("rb") as output:
        while True:
            ended = future.done()  # before the last read
            while lines := output.read(65536):
                sys.stdout.buffer.write(lines)
            sys.stdout.flush()
            if ended:
                return future.result()
            time.sleep(0.1)


def run_part(part: str, pytest_args: list[str], prefix: list[str], results: Path) -> PartResult:
    """Run one target; its output goes to its log."""
    report = results / f"{part}.xml"
    if part == "docs" and sys.version_info < DOCS_PYTHON:
        return PartResult(part, skipped={"docs": "the site's generator needs Python 3.11"})
    begin = time.monotonic()
    with log_of(part, results).open("ab") as output:
        code = make(part, pytest_args, prefix, report, output=output)
    result = read(part, report) if report.exists() else PartResult(part)
    result.seconds = time.monotonic() - begin
    if code and not result.failed:
        result.failed.add(f"{part} (make ended with {code}; see its last lines above)")
    elif part in CHECKS:
        result.passed.add(part)
    elif not code and not result.passed:
        result.failed.add(f"{part} (no test passed)")
    if part in ROS_PARTS:
        free_leftovers()
    result.failed |= left_behind(report)
    return result


def make(
    part: str, pytest_args: list[str], prefix: list[str], report: Path, *variables: str, output: IO[bytes] | None = None
) -> int:
    """Run one target, with pytest's cache of this part; its output goes to the file or to the screen."""
    for old in (report, report.with_suffix(".left")):
        old.unlink(missing_ok=True)
    command = [*prefix, "make", "--no-print-directory", part, *variables]
    if part not in CHECKS:
        cache = ROOT / "log" / "pytest" / part  # of its own: it holds what failed last
        command.append(f"PYTEST_ARGS={shlex.join([*pytest_args, '-o', f'cache_dir={cache}', f'--junitxml={report}'])}")
    watched = [sys.executable, str(LEFTOVERS), str(report.with_suffix(".left")), *command]
    return subprocess.run(watched, cwd=ROOT, check=False, stdout=output, stderr=output and subprocess.STDOUT).returncode


def left_behind(report: Path) -> set[str]:
    """The leftovers of the part's processes, as reported by scripts/leftovers.py."""
    path = report.with_suffix(".left")
    lines = path.read_text().splitlines() if path.exists() else ["unknown, scripts/leftovers.py ended early"]
    return {f"{LEFT}{line}" for line in lines}


def run_failed_again(result: PartResult, pytest_args: list[str], results: Path) -> None:
    """Run the few failed tests again, in one process and with no other part beside them."""
    report = results / f"{result.part}.second.xml"
    failed = [name for name in result.failed if not name.startswith(LEFT)]
    if not (results / f"{result.part}.xml").exists() or not 0 < len(failed) <= FEW:
        return
    print(f"\n==== {result.part}: {len(failed)} failed, running again ====", flush=True)
    begin = time.monotonic()
    make(result.part, [*pytest_args, "--last-failed", "--last-failed-no-failures=none"], [], report, "PARALLEL=")
    result.seconds += time.monotonic() - begin
    if report.exists():
        result.unstable = result.failed & read(result.part, report).passed
        result.failed -= result.unstable
        result.passed |= result.unstable
    result.failed |= left_behind(report)


def read(part: str, report: Path) -> PartResult:
    """The result in a JUnit file; empty if a crash truncated the file."""
    result = PartResult(part)
    try:
        cases = ElementTree.parse(report).getroot().iter("testcase")
    except ElementTree.ParseError:
        return result
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed.add(name)
        elif (skipped := case.find("skipped")) is not None:
            result.skipped[name] = skipped.get("message") or "no reason given"
        else:
            result.passed.add(name)
    result.passed -= result.failed  # a test that passed and whose clean-up failed is listed twice
    return result


def count_left_once(results: list[PartResult]) -> None:
    """Keep files and shared memory that parts beside each other found in the first of them, with the names of all."""
    found: dict[str, list[PartResult]] = {}
    for result in results:
        for name in (one for one in result.failed if one.startswith(LEFT)):
            found.setdefault(name, []).append(result)
    for name, several in found.items():
        if len(several) > 1:
            for result in several:
                result.failed.remove(name)
            several[0].failed.add(f"{name} ({' or '.join(one.part for one in several)})")


def count_skips_once(results: list[PartResult]) -> None:
    """Keep only the skips of tests that no part ran, each in the first part that skipped it."""
    known = {name for result in results for name in (*result.passed, *result.failed)}
    for result in results:
        result.skipped = {name: reason for name, reason in result.skipped.items() if name not in known}
        known |= set(result.skipped)


def summary(results: list[PartResult], heading: str = "part") -> str:
    """The table, skips by reason, failures by name, and the last line."""
    lines = [f"{heading:<28} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>7}"]
    lines += ["{:<28} {:>7} {:>7} {:>7} {:>7}".format(*result.row()) for result in results]
    reasons = collections.Counter(reason for result in results for reason in result.skipped.values())
    if reasons:
        lines += ["", "skipped:", *(f"  {count:>3}  {reason}" for reason, count in reasons.most_common())]
    if failed := [f"  {one.part}: {name}" for one in results for name in sorted(one.failed)]:
        lines += ["", "failed:", *failed]
    if unstable := [f"  {one.part}: {name}" for one in results for name in sorted(one.unstable)]:
        lines += ["", "unstable (failed, then passed alone; please report them):", *unstable]
    totals = [sum(counts) for counts in zip(*(result.row()[1:4] for result in results), strict=True)]
    return "\n".join([*lines, "", "{} passed, {} failed, {} skipped".format(*totals)])


def free_leftovers() -> None:
    """Remove the Fast DDS segments and temporary folders of processes that were killed."""
    command = [sys.executable, "-m", "edgecam_core.doctor", "--free"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src" / "edgecam_core")}
    subprocess.run(command, env=environment, check=False)


def names(text: str) -> list[str]:
    """The parts in this text, separated by spaces. Ends the program: it names something else."""
    parts = text.split()
    if unknown := [part for part in parts if part not in PARTS]:
        sys.exit(f"PARTS: no part of the suite: {' '.join(unknown)}; the parts are {' '.join(PARTS)}")
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("PARTS") or " ".join(PARTS)
    parser.add_argument("--parts", default=default, help="names, separated by spaces; default: PARTS, or all")
    parser.add_argument("pytest_args", nargs="*", help="after --: arguments for every pytest run")
    args = parser.parse_args()
    parts = names(args.parts)
    results = ROOT / "log" / "test"
    results.mkdir(parents=True, exist_ok=True)
    free_leftovers()
    shutil.rmtree(ROOT / "log" / "cache" / "engines", ignore_errors=True)  # measured and calibrated once in each run
    extra = [*shlex.split(os.environ.get("PYTEST_ARGS", "")), *args.pytest_args]
    done = run_all(parts, extra, [], results)
    for result in done:
        run_failed_again(result, extra, results)
    count_skips_once(done)
    print(f"\n{summary(done)}", flush=True)
    return 1 if any(result.failed for result in done) else 0


if __name__ == "__main__":
    sys.exit(main())
