"""Measures one row: rounds that alternate between ours and the reference, their medians, the machine's other load."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from benchmarks import machine
from benchmarks.result import RowResult, median
from benchmarks.row import Row
from benchmarks.runs import RUNS


def measure(row: Row, rounds: int, report: Callable[[str], None]) -> RowResult:
    """Alternate ours and the reference, so that a drift of the machine affects both; blocks for all rounds."""
    began = time.monotonic()
    pairs, loads = [], []
    for number in range(row.rounds(rounds)):
        RUNS.begin(number)
        load = machine.busy()
        # The second measurement finds warmer caches, so the order alternates.
        if number % 2:
            reference = row.reference()
            ours = row.ours()
        else:
            ours = row.ours()
            reference = row.reference()
        loads.append(max(load, RUNS.busy()))
        note = (
            f", {100 * loads[-1]:.0f} % of the machine busy with other work" if loads[-1] > machine.BUSY_LIMIT else ""
        )
        report(f"  round {number + 1}/{row.rounds(rounds)}: {ours:.4g} against {reference:.4g} {row.unit}{note}")
        pairs.append((ours, reference))
    whole = all(reference and math.isfinite(ours / reference) for ours, reference in pairs)
    return RowResult(
        name=row.name, label=row.label or row.what, what=row.what, unit=row.unit, better=row.better,
        reference_name=row.reference_name,
        ours=median(ours for ours, _ in pairs), reference=median(reference for _, reference in pairs),
        ratio=median(ours / reference for ours, reference in pairs) if whole else None, aim=row.aim,
        machine=machine.name(), date=machine.today(), busy=round(max(loads), 3),
        seconds=round(time.monotonic() - began, 1),
        rounds=[(_finite(ours), _finite(reference)) for ours, reference in pairs],
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
