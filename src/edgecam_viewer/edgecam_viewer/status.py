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

"""The status shown on the page: rates, latencies, detected classes, node states. Independent of ROS."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgecam_core.counters import Meter

from edgecam_viewer.node_status import BITRATES, NodeStatus, stage_nodes
from edgecam_viewer.wire import Found

if TYPE_CHECKING:
    from edgecam_viewer.camera_subscription import CameraSubscription
    from edgecam_viewer.control import RosControl

# Losses of each stage: the values of its diagnostics and their names on the page.
LOSSES = {
    "camera": {"drops": "camera drops", "bad": "bad frames"},
    "sender": {"frames_skipped": "encoder skips"},
    "receiver": {"missing": "packets missing", "lost": "packets lost", "refused": "frames withheld"},
    "detector": {"dropped for a newer one": "detector drops"},
}

AGREEMENT = "shadow_agreement/"  # prefix of a detector's values for the agreement in one class
MAX_LABELS = 100
LABEL_AGE = 60.0  # seconds after the last detection before a class is removed from the page


def finite(value: float, digits: int = 1) -> float | None:
    """The rounded number; None for nan and infinities, which JSON does not support."""
    return round(value, digits) if math.isfinite(value) else None


class CameraStats:
    """Counts the frames and detections of one camera. Times are monotonic seconds; one thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = Meter()
        self.results = Meter()  # value: seconds from capture to the arrival of the detections
        self._labels: dict[str, float] = {}  # time of the last detection, oldest first
        self._recording_since: float | None = None

    def frame(self, now: float) -> None:
        self.frames.add(now)

    def found(self, found: Found, latency: float, now: float) -> None:
        """Detections arrived, ``latency`` seconds after the capture of their frame."""
        self.results.add(now, latency)
        for label in {str(one[0]) for one in found}:
            self._labels.pop(label, None)
            self._labels[label] = now
        for label in list(self._labels)[:-MAX_LABELS]:
            del self._labels[label]

    def recording_seconds(self, recording: bool, now: float) -> float:
        """Duration of the current recording; call with every report of the camera node."""
        if not recording:
            self._recording_since = None
            return 0.0
        if self._recording_since is None:
            self._recording_since = now
        return round(now - self._recording_since, 1)

    def as_dict(self, now: float) -> dict[str, Any]:
        return {
            "name": self.name,
            "fps": finite(self.frames.rate(now)),
            "detection_fps": finite(self.results.rate(now)),
            "latency_ms": finite(1000 * self.results.percentile(now, 50)),
            "latency_p95_ms": finite(1000 * self.results.percentile(now, 95)),
            "labels": sorted(label for label, seen in self._labels.items() if now - seen < LABEL_AGE),
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
    """The reports of the nodes of one camera: rates, losses since their start, bitrates, recording."""
    stages = stage_nodes(nodes, namespace)
    losses: dict[str, int] = {}
    for stage, node in stages.items():
        for key, name in LOSSES[stage].items():
            count = node.number(key)
            if count is not None:
                losses[name] = int(count)
    rates = {stage: node.number("fps") for stage, node in stages.items()}
    sender = stages.get("sender")
    bitrates = {name: sender.number(name) for name in BITRATES} if sender else {}
    recording = stages["camera"].values.get("recording", "no") if "camera" in stages else "no"
    return {
        "stages": {stage: fps for stage, fps in rates.items() if fps is not None},
        "losses": losses,
        "bitrates": {name: rate for name, rate in bitrates.items() if rate is not None},
        "recording": "" if recording == "no" else recording,
    }


def recorder_facts(node: NodeStatus | None) -> dict[str, Any]:
    """The report of the recorder; ``node`` is None until the first report."""
    values = node.values if node else {}
    recording = values.get("recording", "no")
    return {
        **_state(node),
        "recording": "" if recording == "no" else recording,
        "megabytes": node.number("megabytes") if node else None,
        "rolling": values.get("rolling") == "True",
    }


def collector_facts(node: NodeStatus | None) -> dict[str, Any]:
    """The report of the collector; ``node`` is None until the first report."""
    return {**_state(node), "frames": node.number("frames") if node else None}


# Nodes of which a page has one: the kind, and the data shown.
PARTS: dict[str, Callable[[NodeStatus | None], dict[str, Any]]] = {
    "recorder": recorder_facts,
    "collector": collector_facts,
}


def shadow_facts(node: NodeStatus) -> dict[str, Any] | None:
    """The agreement of a detector's two models: rows of label, objects found by both, objects found by either.

    None if no shadow model is running.
    """
    if "shadow_fps" not in node.values:
        return None
    rows = []
    for key, text in node.values.items():
        both, word, either = text.partition(" of ")
        if key.startswith(AGREEMENT) and word and both.isdecimal() and either.isdecimal():
            rows.append([key.removeprefix(AGREEMENT), int(both), int(either)])
    return {"detector": node.name, "fps": node.number("shadow_fps"), "classes": rows}


def _state(node: NodeStatus | None) -> dict[str, str]:
    return {"level": node.level, "message": node.message} if node else {"level": "ok", "message": ""}


def nodes_list(nodes: Iterable[NodeStatus]) -> list[dict[str, Any]]:
    """The nodes as JSON objects."""
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


def waiting_text(camera: CameraSubscription, nodes: Sequence[NodeStatus]) -> str:
    """Why no frame of this camera can arrive, if the viewer knows a reason; otherwise ''.

    A problem reported by a node of the pipeline has priority over a missing publisher.
    """
    prefix = f"{camera.namespace}/" if camera.namespace else ""
    stages = {one.name.removeprefix(prefix).rpartition("/")[2]: one for one in nodes if one.name.startswith(prefix)}
    for name in ("camera_driver", "rtp_sender", "rtp_receiver"):
        if name in stages and stages[name].level != "ok":
            return f"{stages[name].name}: {stages[name].message}"
    return "" if camera.publishers() else f"{camera.topic} has no publisher"


def page_status(
    cameras: Sequence[CameraSubscription], control: RosControl, nodes: Sequence[NodeStatus], now: float
) -> dict[str, Any]:
    """The note of type ``status``: everything that the page shows except frames."""
    shown = []
    for index, camera in enumerate(cameras):
        detector = control.detector(index)
        facts = stage_facts(nodes, camera.namespace)
        threshold = detector.threshold if detector else None
        shown.append(
            {
                **camera.stats.as_dict(now),
                **facts,
                "recording_seconds": camera.stats.recording_seconds(bool(facts["recording"]), now),
                "topic": camera.topic,
                "waiting": waiting_text(camera, nodes),
                "detector": detector is not None,
                "threshold": None if threshold is None else finite(threshold, 4),
                "threshold_problem": detector.problem if detector else "",
                "saving": control.running("camera", index),
                "drawing": control.running("events", index),
            }
        )
    by_name = {node.name: node for node in nodes}
    parts: dict[str, Any] = {}
    for kind, facts_of in PARTS.items():
        found = [by_name.get(name) for name in control.full_names(kind)] if control.running(kind) else []
        parts[kind] = facts_of(found[0]) if found else None
    shadows = [shadow_facts(by_name[name]) for name in control.full_names("detector") if name in by_name]
    return {
        "type": "status",
        "cameras": shown,
        "nodes": nodes_list(nodes),
        "shadows": [one for one in shadows if one is not None],
        **parts,
    }
