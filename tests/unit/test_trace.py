"""Trace marks of several processes become frames, a table, a Chrome trace and a chart."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from edgecam_core.tracer import CAPACITY, Mark, Tracer

from edgecam_core import trace

MS = 1_000_000
FIRST, SECOND, LOST = 1_000 * MS, 1_040 * MS, 1_080 * MS


def marks(stamp: int, offset: int = 0) -> list[Mark]:
    """One frame; the receiver's stamp differs by ``offset``, as after RTP."""
    return [
        Mark("detector.inferred", stamp + offset, stamp + 30 * MS),
        Mark("receiver.decoded", stamp + offset, stamp + 20 * MS),
        Mark("camera.captured", stamp, stamp + 2 * MS),
        Mark("sender.encoded", stamp, stamp + 12 * MS),
    ]


def test_a_frame_is_assembled_although_its_stamp_changes_on_the_way() -> None:
    lost = [mark for mark in marks(LOST) if mark.stage != "detector.inferred"]
    found = trace.frames([*marks(SECOND), *lost, *marks(FIRST, offset=20_000), Mark("unknown.stage", FIRST, FIRST)])
    assert [one.stamp_ns for one in found] == [FIRST, SECOND]  # the third never reached the last stage
    assert found[0].total_ns == 30 * MS
    assert [(span.stage, span.end_ns - span.begin_ns) for span in found[0].spans] == [
        ("camera.captured", 2 * MS), ("sender.encoded", 10 * MS), ("receiver.decoded", 8 * MS),
        ("detector.inferred", 10 * MS),
    ]  # fmt: skip


def test_the_table_has_every_stage_and_the_total() -> None:
    lines = trace.table(trace.frames([*marks(FIRST), *marks(SECOND)]))
    assert lines[2].split()[-2:] == ["10.0", "10.0"]
    assert lines[-1].split() == ["all", "of", "2", "frames", "30.0", "30.0"]


def test_the_chrome_trace_has_complete_events_in_microseconds() -> None:
    content = json.loads(json.dumps(trace.chrome(trace.frames(marks(FIRST)))))
    spans = [event for event in content["traceEvents"] if event["ph"] == "X"]
    names = {event["tid"]: event["args"]["name"] for event in content["traceEvents"] if event["ph"] == "M"}
    assert [(names[event["tid"]], event["ts"], event["dur"]) for event in spans][1] == ("sender", 1_002_000, 10_000)


def test_the_chart_shows_the_median_frame() -> None:
    slow = [Mark(mark.stage, mark.stamp_ns, mark.at_ns + 5 * MS) for mark in marks(SECOND)]
    third = [Mark(mark.stage, mark.stamp_ns, mark.at_ns + 9 * MS) for mark in marks(LOST)]
    typical = trace.typical(trace.frames([*marks(FIRST), *slow, *third]))
    assert typical.stamp_ns == SECOND
    chart = trace.svg(typical, "a <busy> machine")
    texts = [element.text for element in ElementTree.fromstring(chart).iter() if element.tag.endswith("text")]
    assert "One frame, capture to end: 35.0 ms" in texts
    assert "a <busy> machine" in texts
    with pytest.raises(ValueError, match="no frame"):
        trace.typical([])


def test_nothing_is_kept_while_it_is_off_and_memory_is_bounded_while_it_is_on() -> None:
    tracer = Tracer()
    tracer.reached("camera.captured", 1)
    assert tracer.take() == []
    tracer.on = True
    for number in range(2 * CAPACITY):
        tracer.reached("camera.captured", number)
    taken = tracer.take()
    assert len(taken) == CAPACITY
    assert taken[-1].stamp_ns == 2 * CAPACITY - 1
    assert tracer.take() == []
