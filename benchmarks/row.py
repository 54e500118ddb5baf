"""One comparison of `make bench`, and the list of all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import benchmarks


@dataclass(frozen=True)
class Row:
    """``ours`` and ``reference`` each measure once and return a number in ``unit``.

    ``name`` begins with the module's name (``transport_…``); ``reference_name`` says what we are compared with.
    ``most_rounds`` limits the rounds of a long row whose noise is small. ``label`` is a short title for
    plots and the README. ``aim`` is the ratio ours/reference we want: at most it
    for ``better="lower"``, at least it for ``"higher"``.
    """

    name: str
    what: str
    unit: str
    reference_name: str
    ours: Callable[[], float]
    reference: Callable[[], float]
    better: str = "lower"
    aim: float | None = None
    label: str = ""
    most_rounds: int = 0  # 0: as many as asked for

    def rounds(self, wanted: int) -> int:
        return min(wanted, self.most_rounds) if self.most_rounds else wanted


def all_rows(wanted: Iterable[str] = ()) -> list[Row]:
    """The rows of every module here that has a function ``rows``; ``wanted`` keeps those whose name begins so."""
    rows: list[Row] = []
    starts = tuple(wanted)
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.ispkg or module.name.startswith("_") or module.name == "training_speed":
            continue
        # Only what is asked for is imported: a GPU machine may have neither ROS nor GStreamer.
        if not starts or any(start.startswith(module.name) or module.name.startswith(start) for start in starts):
            found = importlib.import_module(f"benchmarks.{module.name}")
            rows += found.rows() if hasattr(found, "rows") else []
    return [row for row in rows if not starts or row.name.startswith(starts)]
