"""Results on disk: the published ones and the current run, in the same format.

    {"machines": {name: facts}, "rows": {name: a RowResult}, "pending": [names still to be measured],
     "tables": {name: a table that `make bench` does not measure}}

Each row names its machine and its date, so one file can contain rows of different runs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.result import RowResult

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "benchmarks" / "results" / "results.json"
RUN = ROOT / ".cache" / "bench" / "run.json"


def dumped(content: dict[str, Any]) -> str:
    """JSON with one line for each row, table and machine, so that a changed row is one changed line."""
    parts = []
    for key, value in content.items():
        if isinstance(value, dict):
            inner = [f"  {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in value.items()]
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n }")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


@dataclass
class Store:
    """One results file. ``rounds`` and ``pending`` belong to an interrupted run."""

    path: Path
    machines: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: dict[str, RowResult] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    rounds: int = 0

    @classmethod
    def open(cls, path: Path) -> Store:
        """Read the file; an empty store if there is none."""
        if not path.exists():
            return cls(path)
        content = json.loads(path.read_text())
        rows = {name: RowResult.from_dict(values) for name, values in content["rows"].items()}
        return cls(
            path, content["machines"], rows, content.get("tables", {}), content.get("pending", []),
            content.get("rounds", 0),
        )  # fmt: skip

    def add(self, result: RowResult, facts: dict[str, str]) -> None:
        """Add a row, replacing an older one with the same name, and write the file."""
        self.rows[result.name] = result
        self.machines[result.machine] = facts
        self.save()

    def save(self) -> None:
        """Write the file atomically."""
        used = {row.machine for row in self.rows.values()} | {table["machine"] for table in self.tables.values()}
        content: dict[str, Any] = {
            "machines": {name: facts for name, facts in sorted(self.machines.items()) if name in used},
            "rows": {name: row.as_dict() for name, row in self.rows.items()},
        }
        if self.tables:
            content["tables"] = self.tables
        if self.pending:
            content |= {"pending": self.pending, "rounds": self.rounds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(dumped(content))
        os.replace(draft, self.path)
