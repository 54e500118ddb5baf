#!/usr/bin/env python3
"""Run all parts of the test suite, even if one fails, and end with a table.

Each part is a target of the Makefile. The results of pytest come from its JUnit files in log/test/. A test that one
part skips and another runs (PyTorch is in the training environment alone) is not counted as skipped, and one that two
parts skip counts once. If FEW tests or fewer fail, they run again, one after the other: those that pass count as
passed and are listed as unstable. make test-hard, which looks for unstable tests, gives no second run. A part that
leaves processes, shared memory or files behind fails (scripts/leftovers.py). The last line is "N passed, N failed,
N skipped"; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import collections
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LEFTOVERS = Path(__file__).with_name("leftovers.py")
FEW = 5
CHECKS = ("lint", "types", "docs")
DOCS_PYTHON = (3, 11)  # what the pinned packages of requirements/docs.txt need
LEFT = "left behind: "
PARTS = (*CHECKS, "unit", "backends", "node", "launch-tests", "training-tests")


@dataclass
class Result:
    """The result of one part. Tests are named by class and name, as in JUnit."""

    part: str
    seconds: float = 0.0
    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)  # test -> reason
    unstable: set[str] = field(default_factory=set)  # failed, then passed alone; among passed

    def row(self) -> tuple[str, int, int, int, int]:
        return self.part, len(self.passed), len(self.failed), len(self.skipped), round(self.seconds)


def run_part(part: str, pytest_args: list[str], prefix: list[str], results: Path) -> Result:
    """Run one target; its output goes to the screen."""
    report = results / f"{part}.xml"
    print(f"\n==== {part} ====", flush=True)
    if part == "docs" and sys.version_info < DOCS_PYTHON:
        return Result(part, skipped={"docs": "the site's generator needs Python 3.11"})
    begin = time.monotonic()
    code = make(part, pytest_args, prefix, report)
    result = read(part, report) if report.exists() else Result(part)
    result.seconds = time.monotonic() - begin
    if code and not result.failed:
        result.failed.add(f"{part} (make ended with {code}; see its last lines above)")
    elif part in CHECKS:
        result.passed.add(part)
    elif not code and not result.passed:
        result.failed.add(f"{part} (no test passed)")
    free_shared_memory()
    result.failed |= left_behind(report)
    return result


def make(part: str, pytest_args: list[str], prefix: list[str], report: Path, *variables: str) -> int:
    for old in (report, report.with_suffix(".left")):
        old.unlink(missing_ok=True)
    command = [*prefix, "make", "--no-print-directory", part, *variables]
    if part not in CHECKS:
        command.append(f"PYTEST_ARGS={shlex.join([*pytest_args, f'--junitxml={report}'])}")
    watched = [sys.executable, str(LEFTOVERS), str(report.with_suffix(".left")), *command]
    return subprocess.run(watched, cwd=ROOT, check=False).returncode


def left_behind(report: Path) -> set[str]:
    """What the part's processes left behind, as reported by scripts/leftovers.py."""
    path = report.with_suffix(".left")
    lines = path.read_text().splitlines() if path.exists() else ["unknown, scripts/leftovers.py ended early"]
    return {f"{LEFT}{line}" for line in lines}


def run_failed_again(result: Result, pytest_args: list[str], results: Path) -> None:
    """Run the few failed tests again, in one process."""
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


def read(part: str, report: Path) -> Result:
    """The result in a JUnit file; empty if a crash truncated the file."""
    result = Result(part)
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


def count_skips_once(results: list[Result]) -> None:
    """Keep only skips of tests that no part ran, each in the first part that skipped it."""
    known = {name for result in results for name in (*result.passed, *result.failed)}
    for result in results:
        result.skipped = {name: reason for name, reason in result.skipped.items() if name not in known}
        known |= set(result.skipped)


def summary(results: list[Result], heading: str = "part") -> str:
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


def free_shared_memory() -> None:
    """Remove the Fast DDS segments of processes that were killed."""
    command = [sys.executable, "-m", "edgecam_core.doctor.shared_memory", "--free"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src" / "edgecam_core")}
    subprocess.run(command, env=environment, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default=os.environ.get("PARTS", " ".join(PARTS)), help="names, by spaces")
    parser.add_argument("pytest_args", nargs="*", help="after --: for every pytest")
    args = parser.parse_args()
    results = ROOT / "log" / "test"
    results.mkdir(parents=True, exist_ok=True)
    free_shared_memory()
    extra = [*shlex.split(os.environ.get("PYTEST_ARGS", "")), *args.pytest_args]
    done = []
    for part in args.parts.split():
        done.append(run_part(part, extra, [], results))
        run_failed_again(done[-1], extra, results)
    count_skips_once(done)
    print(f"\n{summary(done)}", flush=True)
    return 1 if any(result.failed for result in done) else 0


if __name__ == "__main__":
    sys.exit(main())
