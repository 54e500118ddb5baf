"""Compares a run with the published results and lists the rows that changed by more than the noise."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.result import RowResult


def change(new: RowResult, old: RowResult) -> tuple[float, float] | None:
    """(how much worse, as a fraction; its noise). None if one of the values is missing.

    Results of one machine are compared by our values, results of different machines by the ratios to the reference.
    """
    if new.machine == old.machine:
        after, before, noise = new.ours, old.ours, (new.noise(), old.noise())
    else:
        after, before, noise = new.ratio, old.ratio, (new.ratio_noise(), old.ratio_noise())
    if not after or not before:
        return None
    worse = after / before - 1 if new.better == "lower" else before / after - 1
    return worse, max(noise)


def lines(run: dict[str, RowResult], published: dict[str, RowResult]) -> Iterator[str]:
    """The rows that got worse, those that got better, and the number of unchanged rows."""
    changes = {name: found for name in run if name in published and (found := change(run[name], published[name]))}
    same = 0
    for word, sign in (("worse", 1), ("better", -1)):
        for name, (worse, noise) in sorted(changes.items(), key=lambda item: -abs(item[1][0])):
            if sign * worse > noise:
                yield f"{word}: {text(run[name], published[name])} ({100 * worse:+.0f} %, noise {100 * noise:.0f} %)"
    same = sum(abs(worse) <= noise for worse, noise in changes.values())
    new = sorted(set(run) - set(published))
    yield f"{same} of {len(changes)} rows within their noise of the published ones" + (
        f"; not published yet: {', '.join(new)}" if new else ""
    )


def text(new: RowResult, old: RowResult) -> str:
    if new.machine == old.machine:
        return f"{new.name}: {old.ours:.4g} → {new.ours:.4g} {new.unit}"
    return f"{new.name}: {old.ratio:.3g} → {new.ratio:.3g} times its reference (another machine)"
