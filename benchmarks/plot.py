"""Bar chart of the results: a label for each row, and the ratio of edgecam to its reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.marks import quantity

if TYPE_CHECKING:
    from benchmarks.result import RowResult

GOOD, BAD = "#2a9d8f", "#e9a03b"


def advantage(result: RowResult) -> float | None:
    """How many times better than the reference; below 1 is worse; None if the ratio is unknown."""
    if not result.ratio:
        return None
    return result.ratio if result.better == "higher" else 1 / result.ratio


def draw(results: list[RowResult], path: Path) -> None:
    """One bar per row on a logarithmic scale, to the right if edgecam is better."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "edgecam"  # the same results make the same file
    from matplotlib import pyplot as plt

    shown = [(one, times) for one in results if (times := advantage(one)) is not None]
    shown.sort(key=lambda pair: -pair[1])
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.27 * len(shown)), layout="constrained")
    for place, (one, times) in enumerate(shown):
        axes.barh(place, math.log2(times), color=GOOD if times >= 1 else BAD, height=0.7)
        ours, reference = quantity(one.ours, one.unit), quantity(one.reference, one.unit)
        text = f" {quantity(times, '')}×  ({ours}, reference {reference}) "
        axes.text(max(0.0, math.log2(times)), place, text, va="center", ha="left", fontsize=8)
    axes.set_yticks(range(len(shown)), [one.label for one, _ in shown], fontsize=9)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 5)  # room for the text of the longest bar
    ticks = [tick for tick in range(math.floor(low), math.ceil(high) + 1) if tick % 2 == 0]
    axes.set_xticks(ticks, [f"{quantity(2.0**tick, '')}×" for tick in ticks], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("How many times better than the reference (right: edgecam is better)", fontsize=11)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
