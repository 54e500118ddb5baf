"""The results as one frame: a bar for each row's ratio to its reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.result import Result


def draw(results: list[Result], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [one for one in results if math.isfinite(one.ratio) and one.ratio > 0]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.5 * len(shown)), layout="constrained")
    for place, one in enumerate(shown):
        good = one.ratio <= 1 if one.better == "lower" else one.ratio >= 1
        axes.barh(place, math.log2(one.ratio), color="#2a9d8f" if good else "#e9a03b")
        text = f" {one.ratio:.2f}x  ({one.ours:.3g} / {one.reference:.3g} {one.unit}) "
        axes.text(math.log2(one.ratio), place, text, va="center", ha="left" if one.ratio >= 1 else "right", fontsize=8)
    axes.set_yticks(range(len(shown)), [f"{one.name}\n({one.better} is better)" for one in shown], fontsize=8)
    axes.axvline(0, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.margins(x=0.45)
    ticks = range(math.floor(axes.get_xlim()[0]), math.ceil(axes.get_xlim()[1]) + 1)
    axes.set_xticks(list(ticks), [f"{2.0**tick:g}x" for tick in ticks])
    axes.set_title("edgecam / reference, medians of interleaved rounds", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
