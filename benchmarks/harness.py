"""Rows, interleaved rounds, medians and the three outputs: JSON, Markdown and a frame."""

from __future__ import annotations

import importlib
import json
import math
import os
import pkgutil
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import benchmarks
from benchmarks.plot import draw
from benchmarks.result import Result

# Not rows: the harness itself, and programs of their own.
_HARNESS = {"harness", "support", "plot", "__main__", "training_speed"}


@dataclass(frozen=True)
class Row:
    """One comparison. ``ours`` and ``reference`` each measure once and give a number in ``unit``.

    ``name`` begins with the module's name (``transport_…``); ``reference_name`` says what we are held against.
    ``aim`` is the ratio ours/reference we want (at most it for ``better="lower"``, at least it for ``"higher"``).
    """

    name: str
    what: str
    unit: str
    reference_name: str
    ours: Callable[[], float]
    reference: Callable[[], float]
    better: str = "lower"
    aim: float | None = None


def measure(row: Row, rounds: int, report: Callable[[str], None]) -> Result:
    """Alternate ours and the reference, so that a drift of the machine hits both; medians of all rounds.

    The ratio is the median of the rounds' ratios; nan where the reference measured 0 in any of them.
    """
    pairs = []
    for number in range(rounds):
        # Whoever goes second finds warmer caches, so the order changes every round.
        if number % 2:
            reference = row.reference()
            ours = row.ours()
        else:
            ours = row.ours()
            reference = row.reference()
        report(f"  round {number + 1}/{rounds}: {ours:.4g} beside {reference:.4g} {row.unit}")
        pairs.append((ours, reference))
    ratio = float("nan")
    if all(reference for _, reference in pairs):
        ratio = statistics.median(ours / reference for ours, reference in pairs)
    return Result(
        row.name, row.what, row.unit, row.better, row.reference_name,
        statistics.median(ours for ours, _ in pairs), statistics.median(reference for _, reference in pairs),
        ratio, row.aim, pairs,
    )  # fmt: skip


def all_rows(wanted: Iterable[str] = ()) -> list[Row]:
    """The rows of every module in this folder; ``wanted`` keeps those whose name begins with one of the texts."""
    rows: list[Row] = []
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.name not in _HARNESS and not module.ispkg:
            rows += importlib.import_module(f"benchmarks.{module.name}").rows()
    starts = tuple(wanted)
    return [row for row in rows if not starts or row.name.startswith(starts)]


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory / 2**20:.0f} GiB",
        "system": _os_name(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "?"),
        "gpu": _gpu(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _os_name() -> str:
    facts = dict(line.split("=", 1) for line in _lines("/etc/os-release") if "=" in line)
    return facts.get("PRETTY_NAME", platform.platform()).strip('"')


def _gpu() -> str:
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip() or "none"
    except (OSError, subprocess.CalledProcessError):
        return "none"


def verdict(result: Result) -> str:
    if result.aim is None:
        return ""
    met = result.ratio <= result.aim if result.better == "lower" else result.ratio >= result.aim
    return f"{'met' if met else 'missed'} ({'≤' if result.better == 'lower' else '≥'} {result.aim:g})"


def markdown(results: list[Result], facts: dict[str, str]) -> str:
    lines = [
        "| row | ours | reference | ours / reference | aim | what is measured, beside what |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        ratio = f"{one.ratio:.2f}" if math.isfinite(one.ratio) else "-"
        lines.append(
            f"| {one.name} | {one.ours:.4g} {one.unit} | {one.reference:.4g} {one.unit} | {ratio} "
            f"({one.better} is better) | {verdict(one)} | {one.what}, beside {one.reference_name} |"
        )
    told = "; ".join(f"{key}: {value}" for key, value in facts.items())
    return "\n".join(lines) + f"\n\nMachine: {told}. Medians of interleaved rounds.\n"


def write(results: list[Result], folder: Path) -> None:
    """``results.json``, ``results.md`` and ``results.png`` in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine()
    document = {"machine": facts, "results": [asdict(one) for one in results]}
    (folder / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "results.md").write_text(markdown(results, facts))
    draw(results, folder / "results.png")
