"""`make bench BENCH_ARGS=--publish`: writes the measured rows to results, plot, README and docs."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import compare, machine
from benchmarks.plot import draw
from benchmarks.store import ROOT, Store


def publish(run: Store, published: Store) -> int:
    """Publish the run. Returns 0, or prints the reason and returns 1 if the run may not be published."""
    if problem := refusal(run):
        print(f"bench: not published: {problem}", file=sys.stderr)
        return 1
    print("\n".join(compare.lines(run.rows, published.rows)))
    published.machines |= run.machines
    published.rows |= run.rows
    published.save()
    draw(list(published.rows.values()), ROOT / "docs" / "images" / "benchmarks.svg")
    subprocess.run([sys.executable, str(ROOT / "scripts" / "generate_docs.py")], check=True)
    run.path.unlink(missing_ok=True)
    return 0


def refusal(run: Store) -> str:
    """The reason why this run may not be published; empty if it may."""
    if not run.rows:
        return "nothing is measured; run `make bench` first"
    if run.pending:
        return f"{len(run.pending)} rows are not measured yet; `make bench` continues with them"
    busy = [name for name, row in run.rows.items() if row.busy is None or row.busy > machine.BUSY_LIMIT]
    if busy:
        limit = f"{100 * machine.BUSY_LIMIT:.0f} %"
        return (
            f"more than {limit} of the machine was busy with other work while measuring these rows: {', '.join(busy)}; "
            f"end the other programs and measure them again: make bench BENCH_ARGS='{' '.join(busy)}'"
        )
    return ""
