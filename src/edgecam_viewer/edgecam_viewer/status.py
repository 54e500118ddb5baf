"""The state of everything as the page shows it: rates, latencies, what is seen, how the nodes are. No ROS inside."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from edgecam_core.counters import Meter

from edgecam_viewer.node_status import NodeStatus, stage_nodes
from edgecam_viewer.wire import Found

# What each stage counts that did not get through: the values of its diagnostics, and what the page calls them.
LOSSES = {
    "camera": {"drops": "camera drops", "bad": "bad frames"},
    "sender": {"frames_skipped": "encoder skips"},
    "receiver": {"missing": "packets missing", "lost": "packets lost", "refused": "frames withheld"},
    "detector": {"dropped for a newer one": "detector drops"},
}


def finite(value: float, digits: int = 1) -> float | None:
    """The rounded number, None for nan and infinities, which JSON does not know."""
    return round(value, digits) if math.isfinite(value) else None


class CameraStats:
    """Counts the frames and detections of one camera. Times are monotonic seconds; one thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = Meter()
        self.results = Meter()  # value: seconds from capture to the arrival of the detections
        self.seen: dict[str, float] = {}
        self.labels: set[str] = set()

    def frame(self, now: float) -> None:
        self.frames.add(now)

    def found(self, found: Found, latency: float, now: float) -> None:
        """Detections came, ``latency`` seconds after the capture of their frame."""
        self.results.add(now, latency)
        self.seen = best_scores(found)
        self.labels.update(self.seen)

    def as_dict(self, now: float) -> dict[str, Any]:
        return {
            "name": self.name,
            "fps": finite(self.frames.rate(now)),
            "detection_fps": finite(self.results.rate(now)),
            "latency_ms": finite(1000 * self.results.percentile(now, 50)),
            "latency_p95_ms": finite(1000 * self.results.percentile(now, 95)),
            "labels": sorted(self.labels),
        }


def best_scores(found: Found) -> dict[str, float]:
    """The best score of every label, best first."""
    best: dict[str, float] = {}
    for label, score, *_ in sorted(found, key=lambda one: one[1], reverse=True):
        best.setdefault(str(label), float(score))
    return best


def label_counts(found: Found) -> Counter[str]:
    return Counter(str(one[0]) for one in found)


def stage_facts(nodes: Iterable[NodeStatus], namespace: str) -> dict[str, Any]:
    """Frames per second of each stage, and counters of what was lost on the way, both since the nodes' start."""
    stages = stage_nodes(nodes, namespace)
    losses: dict[str, int] = {}
    for stage, node in stages.items():
        for key, name in LOSSES[stage].items():
            count = node.number(key)
            if count is not None:
                losses[name] = int(count)
    rates = {stage: node.number("fps") for stage, node in stages.items()}
    recording = stages["camera"].values.get("recording", "no") if "camera" in stages else "no"
    return {
        "stages": {stage: fps for stage, fps in rates.items() if fps is not None},
        "losses": losses,
        "recording": "" if recording == "no" else recording,
    }


def nodes_list(nodes: Iterable[NodeStatus]) -> list[dict[str, Any]]:
    """The nodes as JSON shows them."""
    return [
        {
            "name": node.name,
            "level": node.level,
            "message": node.message,
            "hardware_id": node.hardware_id,
            "values": dict(node.values),
        }
        for node in nodes
    ]
