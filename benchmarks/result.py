"""What one row measured, and where."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

LEAST_NOISE = 0.03  # the accuracy of a median of a few rounds


@dataclass
class RowResult:
    """Medians of all rounds. ``ratio`` is the median of the rounds' ratios, None where a reference was 0.

    ``rounds`` are pairs (ours, reference); empty if the rounds were not kept. ``busy`` is the largest share of the
    machine's CPU time that other processes used before a round; None if it was not measured. ``seconds`` is the
    duration of the measurement.
    """

    name: str
    label: str
    what: str
    unit: str
    better: str
    reference_name: str
    ours: float | None
    reference: float | None
    ratio: float | None
    aim: float | None
    machine: str
    date: str
    busy: float | None = None
    seconds: float | None = None
    rounds: list[tuple[float | None, float | None]] = field(default_factory=list)

    def noise(self) -> float:
        """Half the range of our rounds as a fraction of their median, at least ``LEAST_NOISE``."""
        return spread(ours for ours, _ in self.rounds)

    def ratio_noise(self) -> float:
        """The same for the rounds' ratios."""
        return spread(ours / reference for ours, reference in self.rounds if ours is not None and reference)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "noise": round(self.noise(), 4), "ratio_noise": round(self.ratio_noise(), 4)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RowResult:
        known = {key: value for key, value in values.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "rounds": [(ours, reference) for ours, reference in values.get("rounds", [])]})

    def verdict(self) -> str:
        """Whether the aim is met, as text; empty without one."""
        if self.aim is None or self.ratio is None:
            return ""
        met = self.ratio <= self.aim if self.better == "lower" else self.ratio >= self.aim
        return f"{'met' if met else 'missed'} ({'≤' if self.better == 'lower' else '≥'} {self.aim:g})"


def spread(values: Iterable[float | None]) -> float:
    """Half the range of these values as a fraction of their median, at least ``LEAST_NOISE``."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    middle = statistics.median(known) if known else 0.0
    return max(LEAST_NOISE, (max(known) - min(known)) / 2 / abs(middle)) if middle else LEAST_NOISE


def median(values: Iterable[float]) -> float | None:
    """The median of the finite values; None if there is none (the stream did not recover from a fault)."""
    known = [value for value in values if math.isfinite(value)]
    return statistics.median(known) if known else None
