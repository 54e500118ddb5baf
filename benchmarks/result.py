"""What one row measured."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Result:
    name: str
    what: str
    unit: str
    better: str
    reference_name: str
    ours: float
    reference: float
    ratio: float
    aim: float | None
    rounds: list[tuple[float, float]] = field(default_factory=list)
