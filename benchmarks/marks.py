"""Inserts numbers from the published results into the Markdown files, so that all pages agree.

A page has two kinds of marks; the text between the opening and the closing mark is replaced:

    <!--= ROW.ours -->54 ms<!--/-->              ours, reference, ratio, machine or date of one row
    <!--= TABLE.wheels -->216 MB<!--/-->         the second column of a table, in the row that begins with that word
    <!-- results: KIND WORDS -->...<!-- /results -->

KIND is summary, rows, machines, table or scale; WORDS are row names, with wildcards, or the name of a table.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

from benchmarks import scale
from benchmarks.result import RowResult
from benchmarks.store import Store

INLINE = re.compile(r"(<!--= ([\w.]+)\.(\w+) -->).*?(<!--/-->)", re.DOTALL)
BLOCK = re.compile(r"(<!-- results: (\w+) ([^\n]*?) ?-->\n).*?(<!-- /results -->)", re.DOTALL)


def quantity(value: float | None, unit: str) -> str:
    """A measured value as text, with two or three significant digits."""
    if value is None:
        return "–"
    if abs(value) >= 100 or unit == "%":
        number = f"{value:,.0f}"
    else:
        number = f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"
    return f"{number} {unit}".strip()


def names(words: Iterable[str], store: Store) -> list[RowResult]:
    found: list[RowResult] = []
    for word in words:
        some = [row for name, row in store.rows.items() if fnmatch.fnmatchcase(name, word)]
        if not some and "*" not in word:  # all rows of a pattern may be unpublished
            raise KeyError(f"no published row is named {word}")
        found += some
    return found


def summary(words: list[str], store: Store) -> str:
    """Label, our value, the reference's value: for the README."""
    lines = ["| | edgecam | reference |", "|---|---|---|"]
    for row in names(words, store):
        reference = f"{quantity(row.reference, row.unit)}, {row.reference_name}"
        lines.append(f"| {row.label} | {quantity(row.ours, row.unit)} | {reference} |")
    return "\n".join([*lines, "", machines(words, store)])


def detailed(words: list[str], store: Store) -> str:
    """All columns of these rows: for the documentation."""
    found = names(words, store)
    if not found:
        return "Not measured on an idle machine yet."
    lines = ["| what | edgecam | reference | ratio | aim | reference is | row, date |", "|---|---|---|---|---|---|---|"]
    for row in found:
        ratio = f"{row.ratio:.2f} ({row.better} is better)" if row.ratio is not None else "–"
        lines.append(
            f"| {row.what} | {quantity(row.ours, row.unit)} | {quantity(row.reference, row.unit)} | {ratio} "
            f"| {row.verdict()} | {row.reference_name} | `{row.name}`, {row.date} |"
        )
    return "\n".join(lines)


def machines(words: list[str], store: Store) -> str:
    """Where and when these rows were measured, one sentence for each machine."""
    found: dict[str, set[str]] = {}
    for row in names(words, store):
        found.setdefault(row.machine, set()).add(row.date)
    parts = []
    for machine, dates in found.items():
        known = store.machines[machine]
        ros = "" if known["ros"] == "?" else f" ROS 2 {known['ros'].capitalize()},"
        parts.append(f"{machine}, {known['system']},{ros} {' and '.join(sorted(dates))}")
    return f"Measured on {'; '.join(parts)}. Medians."


def table(words: list[str], store: Store) -> str:
    """A table that is not measured by `make bench`, with its machine and date."""
    one = store.tables[words[0]]
    lines = [one["columns"], ["-" * 3] * len(one["columns"]), *one["rows"]]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{text}\n\n{one['note']} ({one['machine']}, {one['date']})"


KINDS: dict[str, Callable[[list[str], Store], str]] = {
    "summary": summary, "rows": detailed, "machines": machines, "table": table, "scale": scale.text,
}  # fmt: skip


def cell(name: str, what: str, store: Store) -> str:
    """One field of a row, or the second column of a table in the row whose first column is ``what``."""
    if name in store.tables:
        return str(next(second for first, second, *_ in store.tables[name]["rows"] if first == what))
    row = store.rows[name]
    if what in ("ours", "reference"):
        return quantity(getattr(row, what), row.unit)
    if what == "ratio":
        return f"{row.ratio:.2f}" if row.ratio is not None else "–"
    return str(getattr(row, what))


def filled(text: str, store: Store) -> str:
    """The page with all marks filled in. Raises KeyError for a row or table that is not published."""
    text = INLINE.sub(lambda match: match[1] + cell(match[2], match[3], store) + match[4], text)
    return BLOCK.sub(lambda match: f"{match[1]}\n{KINDS[match[2]](match[3].split(), store)}\n\n{match[4]}", text)
