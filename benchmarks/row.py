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

    ``name`` begins with the module's name (``transport_…``); ``reference_name`` describes the reference.
    ``most_rounds`` limits the rounds of a long row whose noise is small. ``label`` is a short title for plots and the
    README. ``aim`` is the target for the ratio ours/reference: an upper limit for ``better="lower"``, a lower limit
    for ``"higher"``.
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
    most_rounds: int = 0  # 0: no limit

    def rounds(self, requested: int) -> int:
        return min(requested, self.most_rounds) if self.most_rounds else requested


def all_rows(prefixes: Iterable[str] = ()) -> list[Row]:
    """The rows of every module in this package that has a function ``rows``; only names with one of these prefixes."""
    rows: list[Row] = []
    starts = tuple(prefixes)
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.ispkg or module.name.startswith("_") or module.name == "training_speed":
            continue
        # Import only the requested modules: a GPU machine may have neither ROS nor GStreamer.
        if not starts or any(start.startswith(module.name) or module.name.startswith(start) for start in starts):
            found = importlib.import_module(f"benchmarks.{module.name}")
            rows += found.rows() if hasattr(found, "rows") else []
    return [row for row in rows if not starts or row.name.startswith(starts)]
