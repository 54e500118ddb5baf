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

"""Latency of each frame by stage: from the marks of all processes to a table, a Chrome trace and an SVG. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from edgecam_core.tracer import Mark

STAGES = {
    "camera.captured": "captured and decoded",
    "camera.published": "published",
    "sender.received": "DDS to the sender",
    "sender.converted": "converted to I420",
    "sender.encoded": "encoded",
    "sender.sent": "packets sent",
    "receiver.arrived": "packets received",
    "receiver.decoded": "decoded",
    "receiver.published": "published",
    "detector.received": "DDS to the detector",
    "detector.started": "prepared, waited for the last frame",
    "detector.inferred": "inference",
    "detector.published": "published",
    "viewer.received": "DDS to the viewer",
    "viewer.shown": "encoded for the browser",
}
"""All stages in the order of the pipeline, and the step that a frame has completed when it reaches them."""

_SAME_NS = 2_000_000  # RTP preserves a stamp to within 0.1 ms; frames are at least 4 ms apart
_COLOURS = {"camera": "#4e79a7", "sender": "#f28e2b", "receiver": "#59a14f", "detector": "#e15759", "viewer": "#b07aa1"}


class Span(NamedTuple):
    """A stage of one frame; begin and end are in nanoseconds since the capture."""

    stage: str
    begin_ns: int
    end_ns: int


class FrameTrace(NamedTuple):
    """One frame: its capture time, and its stages in the order in which it reached them."""

    stamp_ns: int
    spans: tuple[Span, ...]

    @property
    def total_ns(self) -> int:
        return self.spans[-1].end_ns


def frames(marks: Iterable[Mark]) -> list[FrameTrace]:
    """The frames that reached the last stage of the marks, oldest first. Their stages have no gaps between them."""
    groups: list[list[Mark]] = []
    for mark in sorted((mark for mark in marks if mark.stage in STAGES), key=lambda mark: mark.stamp_ns):
        if groups and mark.stamp_ns - groups[-1][0].stamp_ns <= _SAME_NS:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    order = list(STAGES)
    last = max((order.index(mark.stage) for group in groups for mark in group), default=0)
    return [_frame(group) for group in groups if any(order.index(mark.stage) == last for mark in group)]


def _frame(marks: list[Mark]) -> FrameTrace:
    stamp_ns = marks[0].stamp_ns
    first: dict[str, int] = {}
    for mark in marks:
        first[mark.stage] = min(mark.at_ns, first.get(mark.stage, mark.at_ns))
    spans, begin = [], 0
    for stage, at_ns in sorted(first.items(), key=lambda item: item[1]):
        end = max(begin, at_ns - stamp_ns)
        spans.append(Span(stage, begin, end))
        begin = end
    return FrameTrace(stamp_ns, tuple(spans))


def typical(traces: Sequence[FrameTrace]) -> FrameTrace:
    """The frame with the median latency among the frames with the most stages.

    Raises:
        ValueError: there are no frames.
    """
    stages = max((len(one.spans) for one in traces), default=0)
    if not stages:
        raise ValueError("no frame was traced")
    complete = sorted((one for one in traces if len(one.spans) == stages), key=lambda one: one.total_ns)
    return complete[len(complete) // 2]


def table(traces: Sequence[FrameTrace]) -> list[str]:
    """Lines with the median and 95th percentile of every stage and of the total latency, in milliseconds."""
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for one in traces:
        for span in one.spans:
            times[span.stage].append((span.end_ns - span.begin_ns) / 1e6)
    lines = [f"{'stage':52} {'p50 ms':>7} {'p95 ms':>7}"]
    rows = [(f"{stage.split('.')[0]:9} {STAGES[stage]}", found) for stage, found in times.items() if found]
    for text, found in [*rows, (f"all of {len(traces)} frames", [one.total_ns / 1e6 for one in traces])]:
        high = sorted(found)[min(len(found) - 1, int(0.95 * len(found)))]
        lines.append(f"{text:52} {statistics.median(found):7.1f} {high:7.1f}")
    return lines


def chrome(traces: Sequence[FrameTrace]) -> dict[str, Any]:
    """A trace in Trace Event Format, for Perfetto and chrome://tracing: one row for each part of the pipeline."""
    parts = list(_COLOURS)
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": part}}
        for number, part in enumerate(parts)
    ]
    for one in traces:
        for span in one.spans:
            events.append({
                "ph": "X", "pid": 1, "tid": parts.index(span.stage.split(".")[0]), "name": STAGES[span.stage],
                "ts": (one.stamp_ns + span.begin_ns) / 1e3, "dur": (span.end_ns - span.begin_ns) / 1e3,
                "args": {"stamp_ns": one.stamp_ns},
            })  # fmt: skip
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def svg(one: FrameTrace, note: str = "") -> str:
    """An SVG chart of one frame: time to the right, one line for each stage."""
    left, width, line = 330, 620, 24
    height = line * (len(one.spans) + 3)
    scale = width / max(one.total_ns, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" '
        'font-family="sans-serif" font-size="14">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="18" font-weight="bold">One frame, capture to end: {one.total_ns / 1e6:.1f} ms</text>',
        f'<text x="{left}" y="18" fill="#555">{escape(note)}</text>',
    ]
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10_000) if one.total_ns / 1e6 / step <= 12)
    for tick in range(0, int(one.total_ns / 1e6) + 1, step):
        x = left + tick * 1e6 * scale
        parts.append(f'<line x1="{x:.1f}" y1="{line}" x2="{x:.1f}" y2="{height - line}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" fill="#555">{tick} ms</text>')
    for number, span in enumerate(one.spans):
        y = line * (number + 1) + 8
        part = span.stage.split(".")[0]
        x, wide = left + span.begin_ns * scale, max(1.0, (span.end_ns - span.begin_ns) * scale)
        parts.append(f'<text x="10" y="{y + 13}">{part}: {escape(STAGES[span.stage])}</text>')
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="16" fill="{_COLOURS[part]}"/>')
        parts.append(f'<text x="{x + wide + 5:.1f}" y="{y + 13}">{(span.end_ns - span.begin_ns) / 1e6:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])
