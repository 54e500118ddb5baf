# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The statistics of the terminal monitor. Independent of ROS; times are seconds of a monotonic clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.counters import Meter
from edgecam_core.files import write_atomically

from edgecam_viewer.node_status import NodeStatus, stage_nodes
from edgecam_viewer.status import best_scores, finite, label_counts
from edgecam_viewer.wire import Found

MAX_LABELS = 200  # classes counted separately; the rest is "others"
MAX_SHOWN = 10  # classes on a line
MAX_LATENCIES = 100_000  # about an hour at 30 Hz; then every second value is kept, and so on


@dataclass(frozen=True)
class Summary:
    """Summary of a run. Latencies are milliseconds from capture to the arrival of the detections; None: unknown."""

    seconds: float
    arrays: int
    detections: int
    fps: dict[str, float]
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    labels: dict[str, int]

    @property
    def exit_code(self) -> int:
        """0 if there were detections, otherwise 1."""
        return 0 if self.detections else 1

    def as_dict(self) -> dict[str, Any]:
        latency = {"p50": self.latency_p50_ms, "p95": self.latency_p95_ms}
        return {
            "seconds": self.seconds,
            "arrays": self.arrays,
            "detections": self.detections,
            "fps": self.fps,
            "latency_ms": latency,
            "labels": self.labels,
        }

    def lines(self) -> list[str]:
        """The summary as text."""
        if not self.arrays:
            return [f"summary: no detections arrived in {self.seconds:.0f} s"]
        rates = ", ".join(f"{stage} {fps:.1f}" for stage, fps in self.fps.items())
        labels = ", ".join(f"{label} {count}" for label, count in self.labels.items()) or "nothing"
        return [
            f"summary: {self.arrays} frames processed in {self.seconds:.0f} s, {self.detections} detections",
            f"  frames/s   {rates}",
            f"  latency    {_ms(self.latency_p50_ms)} (p95 {_ms(self.latency_p95_ms)}) from capture to detections",
            f"  seen       {labels}",
        ]


class Reservoir:
    """Values for percentiles in bounded memory: when full, every second value is dropped, also of new ones."""

    def __init__(self, capacity: int = MAX_LATENCIES) -> None:
        self._capacity = capacity
        self._values: list[float] = []
        self._step = 1
        self._count = 0

    def add(self, value: float) -> None:
        if self._count % self._step == 0:
            self._values.append(value)
        self._count += 1
        if len(self._values) >= self._capacity:
            self._values = self._values[::2]
            self._step *= 2

    def percentile(self, share: float) -> float | None:
        return float(np.percentile(self._values, share)) if self._values else None


class Monitor:
    """Collects the detections and node reports of one namespace ('' or e.g. 'camera') from ``began`` on."""

    def __init__(self, namespace: str, began: float) -> None:
        self._namespace = namespace
        self._began = began
        self._arrays = Meter()
        self._latencies = Reservoir()
        self._rates: dict[str, list[float]] = {}  # stage: [sum, count]
        self._labels: Counter[str] = Counter()
        self._detections = 0
        self._first: float | None = None
        self._last = 0.0
        self._newest: Found = []

    def found(self, found: Found, latency: float, now: float) -> None:
        """Detections arrived, ``latency`` seconds after the capture of their frame."""
        self._arrays.add(now, latency)
        self._latencies.add(latency)
        for label, count in label_counts(found).items():
            known = label in self._labels or len(self._labels) < MAX_LABELS
            self._labels[label if known else "others"] += count
        self._detections += len(found)
        self._newest = found
        self._first = now if self._first is None else self._first
        self._last = now

    def line(self, nodes: Iterable[NodeStatus], now: float) -> str:
        """One line about the current state; remembers the rates of the stages for the summary."""
        rates = self._stage_rates(nodes, now)
        for stage, fps in rates.items():
            total = self._rates.setdefault(stage, [0.0, 0.0])
            # The mean excludes the start, while the rate is 0.
            total[0] += fps
            total[1] += fps > 0
        shown = "  ".join(f"{stage} {fps:.1f}" for stage, fps in rates.items())
        latency = self._arrays.percentile(now, 50)
        if latency != latency:  # nan: nothing arrived within the window
            return f"{shown} fps | no detections yet" if shown else "waiting for the nodes"
        best = best_scores(self._newest)
        seen = ", ".join(f"{label} {score:.2f}" for label, score in list(best.items())[:MAX_SHOWN]) or "nothing"
        if len(best) > MAX_SHOWN:
            seen += f" and {len(best) - MAX_SHOWN} more"
        return f"{shown} fps | {1000 * latency:.0f} ms | {seen}"

    def summary(self, now: float) -> Summary:
        means = {stage: round(total / count, 2) for stage, (total, count) in self._rates.items() if count}
        if self._first is not None and self._last > self._first:
            means["detector"] = round((self._arrays.count - 1) / (self._last - self._first), 2)
        p50, p95 = (self._latencies.percentile(share) for share in (50, 95))
        return Summary(
            seconds=round(now - self._began, 2),
            arrays=self._arrays.count,
            detections=self._detections,
            fps=means,
            latency_p50_ms=None if p50 is None else finite(1000 * p50),
            latency_p95_ms=None if p95 is None else finite(1000 * p95),
            labels=dict(self._labels.most_common()),
        )

    def _stage_rates(self, nodes: Iterable[NodeStatus], now: float) -> dict[str, float]:
        rates = {stage: node.number("fps") or 0.0 for stage, node in stage_nodes(nodes, self._namespace).items()}
        if self._arrays.count:
            rates["detector"] = self._arrays.rate(now)
        return rates


def write_summary(summary: Summary, path: str) -> None:
    """Write the summary as JSON, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(Path(path), json.dumps(summary.as_dict(), indent=2) + "\n")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
