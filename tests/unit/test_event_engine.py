"""The rules over tracks: the frames in which events begin and end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from edgecam_core.events.engine import EventEngine, new_id
from edgecam_core.events.event import BEGIN, BETTER, END, Event
from edgecam_core.events.settings import EventsSettings
from edgecam_core.types import Detection
from hypothesis import given
from hypothesis import strategies as st

SECOND, STEP = 10**9, 10**8  # ten frames a second
SIZE = (1000, 500)
ZONES = ("left: 0,0 0.5,0 0.5,1 0,1", "front/porch: 0,0 0.5,0 0.5,1 0,1")
LINES = ("gate: 0.5,0.75 0.5,0.25",)  # upwards in the middle: its left side is the image's left half
START = 1_700_000_000 * SECOND


def dog(x: float, y: float = 0.5, *, track: str = "1", score: float = 0.8, label: str = "dog") -> Detection:
    """A box of 100x100 pixels with its center at fractions of the image."""
    left, top = x * SIZE[0] - 50, y * SIZE[1] - 50
    return Detection(label, 0, score, (left, top, left + 100, top + 100), track)


class EngineScene:
    """An engine with one rule, and the number of its current frame."""

    def __init__(self, *rules: str, **settings: object) -> None:
        values = {"zones": ZONES, "lines": LINES, "rules": rules, "lost_after": 0.5, **settings}
        self.engine = EventEngine(EventsSettings.from_mapping(values))
        self.stamp = START
        self.events: list[tuple[int, str]] = []
        self.full: list[Event] = []
        self.frame = 0

    def see(self, *found: Detection, camera: str = "", frames: int = 1) -> EngineScene:
        for _ in range(frames):
            events = self.engine.process(camera, self.stamp, "lens", SIZE, list(found))
            self.full += events
            self.events += [(self.frame, one.state) for one in events if one.state != BETTER]
            self.frame += 1
            self.stamp += STEP
        return self

    def walk(self, places: Iterable[float | None], **fields: object) -> EngineScene:
        for x in places:
            self.see(*([] if x is None else [dog(x, **fields)]))  # type: ignore[arg-type]
        return self


B, E = BEGIN, END
IN, OUT = 0.25, 0.75


@pytest.mark.parametrize(
    ("rule", "places", "expected"),
    [
        # enters: two of the last three frames; ends after two outside, or when it is lost (0.5 s)
        ("dog enters left", [OUT, OUT, IN, IN, IN, OUT, OUT], [(3, B), (6, E)]),
        ("dog enters left", [IN, IN], [(1, B)]),
        ("dog enters left frames=1/1", [OUT, IN, OUT], [(1, B), (2, E)]),
        ("dog enters left frames=3/5", [IN, OUT, IN, OUT, IN, OUT], [(4, B), (5, E)]),
        ("dog enters left", [OUT, IN, OUT, OUT, IN, OUT, OUT], []),
        ("dog enters left", [IN, IN, None, None, None, IN], [(1, B)]),
        ("dog enters left", [IN, IN, *[None] * 6], [(1, B), (7, E)]),
        ("cat enters left", [IN, IN, IN], []),
        ("any enters left", [IN, IN, IN], [(1, B)]),
        ("cat|DOG enters left", [IN, IN, IN], [(1, B)]),
        # hysteresis: 0.02 of the image beyond the edge does not count as outside with 0.05
        ("dog enters left hysteresis=0.05", [0.49, 0.49, 0.52, 0.52, 0.49, 0.6, 0.6], [(1, B), (6, E)]),
        ("dog enters left hysteresis=0", [0.49, 0.49, 0.52, 0.52], [(1, B), (3, E)]),
        # leaves: begins and ends in one frame, also if the object is lost in the zone
        ("dog leaves left", [IN, IN, OUT, OUT, OUT], [(3, B), (3, E)]),
        ("dog leaves left", [OUT, OUT, OUT], []),
        ("dog leaves left", [IN, IN, *[None] * 6], [(7, B), (7, E)]),
        # stays: from the first frame in the zone
        ("dog stays 500ms in left", [OUT, *[IN] * 8, OUT, OUT], [(6, B), (10, E)]),
        ("dog stays 500ms in left", [IN, IN, IN, OUT, OUT, IN, IN, IN], []),
        ("dog stays 500ms in left", [IN, IN, OUT, IN, IN, IN, IN], [(5, B)]),
        # crosses
        ("dog crosses gate", [0.4, 0.4, 0.6, 0.6], [(3, B), (3, E)]),
        ("dog crosses gate left-to-right", [0.4, 0.6, 0.6], [(2, B), (2, E)]),
        ("dog crosses gate right-to-left", [0.4, 0.6, 0.6], []),
        ("dog crosses gate right-to-left", [0.6, 0.4, 0.4], [(2, B), (2, E)]),
        ("dog crosses gate", [0.4, 0.505, 0.495, 0.505], []),
        ("dog crosses gate", [0.4, 0.5, 0.505, 0.6, 0.6], [(4, B), (4, E)]),
        ("dog crosses gate frames=1/1", [0.4, 0.6, 0.4], [(1, B), (1, E), (2, B), (2, E)]),
        ("dog crosses gate", [0.4, 0.6, 0.4, 0.4], []),
        ("dog crosses gate", [0.4, *[None] * 7, 0.6, 0.6], []),
        # absent
        ("dog absent 500ms", [None] * 7, [(5, B)]),
        ("dog absent 500ms", [IN, IN, *[None] * 7, OUT, OUT], [(6, B), (10, E)]),
        ("dog absent 500ms", [IN, IN, None, None, IN, IN, None, None, None], []),
        ("dog absent from left for 500ms", [IN, IN, *[OUT] * 6], [(6, B)]),
        ("dog absent 500ms", [None, None, OUT, None, None, None, None], [(5, B)]),  # one false detection
    ],
)
def test_one_object(rule: str, places: list[float | None], expected: list[tuple[int, str]]) -> None:
    assert EngineScene(f"a: {rule}").walk(places).events == expected


@pytest.mark.parametrize(
    ("rule", "counts", "expected"),
    [
        ("dog count above 1", [1, 2, 2, 2, 1, 1], [(2, B), (5, E)]),
        ("dog count above 1 for 300ms", [2] * 5 + [0, 0], [(3, B), (6, E)]),
        ("dog count above 2 hysteresis=1", [3, 3, 2, 2, 2, 1, 1], [(1, B)]),
        ("dog count above 2 hysteresis=2", [3, 3, 1, 1, 0, 0], [(1, B), (5, E)]),
        ("dog count below 2", [2, 2, 1, 1, 2, 2], [(3, B), (5, E)]),
        ("dog count above 0 in left", [3, 3], []),
        ("cat count above 0", [3, 3], []),
    ],
)
def test_counts(rule: str, counts: list[int], expected: list[tuple[int, str]]) -> None:
    scene = EngineScene(f"a: {rule}")
    for count in counts:
        scene.see(*(dog(0.6 + 0.1 * number, track=str(number)) for number in range(count)))
    if rule == "dog count above 2 hysteresis=1":  # ends at 1, which is not above 2 - 1
        expected = [*expected, (6, E)]
    assert scene.events == expected


def test_a_crossing_outside_the_line_segment_does_not_count() -> None:
    scene = EngineScene("a: dog crosses gate")
    for x in (0.4, 0.6, 0.6):
        scene.see(dog(x, 0.1))
    assert scene.events == []


def test_an_event_contains_the_object_and_its_times() -> None:
    scene = EngineScene("gate: dog crosses gate").walk([0.4, 0.6, 0.6])
    begin, end = scene.full
    assert (begin.rule, begin.kind, begin.zone, begin.label, begin.track_id) == ("gate", "crosses", "gate", "dog", "1")
    assert (begin.detail, begin.score, begin.frame_id) == ("left-to-right", 0.8, "lens")
    assert begin.box == dog(0.6).box
    assert begin.id == end.id
    assert begin.stamp_ns == end.stamp_ns == START + 2 * STEP
    counted = EngineScene("a: cat|dog count above 0").see(dog(IN), frames=2).full[0]
    assert (counted.label, counted.detail, counted.box, counted.track_id) == ("cat|dog", "1", None, "")


def test_a_higher_score_of_the_object_is_reported() -> None:
    scene = EngineScene("a: dog enters left")
    for score in (0.5, 0.6, 0.7, 0.65, 0.71, 0.9):
        scene.see(dog(IN, score=score))
    assert [(one.state, one.score) for one in scene.full] == [(BEGIN, 0.6), (BETTER, 0.7), (BETTER, 0.9)]
    assert scene.see(dog(OUT), frames=2).full[-1].score == 0.9


def test_two_objects_have_two_events() -> None:
    scene = EngineScene("a: dog enters left")
    scene.see(dog(0.2), dog(0.4, track="2"), frames=2).see(dog(0.2), dog(0.8, track="2"), frames=2)
    assert [(one.state, one.track_id) for one in scene.full] == [(BEGIN, "1"), (BEGIN, "2"), (END, "2")]
    assert scene.engine.lasting == 1


def test_an_object_that_gets_a_new_track_id_is_the_same_object() -> None:
    scene = EngineScene("a: dog enters left", "b: dog leaves left")
    scene.see(dog(IN, track="1"), frames=3).see(frames=2).see(dog(IN + 0.01, track="7"), frames=8)
    assert [(one.state, one.track_id) for one in scene.full] == [(BEGIN, "1")]
    scene.see(dog(0.45, track="9"), dog(IN, track="7"), frames=2)
    assert scene.full[-1].track_id == "9"


def test_the_cooldown_starts_when_the_event_ends() -> None:
    scene = EngineScene("a: dog enters left frames=1/1 cooldown=500ms")
    scene.walk([IN, OUT, IN, OUT, OUT, OUT, IN, OUT])
    assert scene.events == [(0, B), (1, E), (6, B), (7, E)]
    assert scene.engine.counters.totals() == {"not begun: cooldown or schedule": 1}


def test_a_lasting_condition_begins_when_the_cooldown_is_over() -> None:
    scene = EngineScene("a: dog stays 100ms in left frames=1/1 cooldown=500ms").walk([IN, IN, OUT, *[IN] * 6])
    assert scene.events == [(1, B), (2, E), (7, B)]
    scene = EngineScene("a: dog stays 100ms in left frames=1/1 cooldown=500ms").walk(
        [IN, IN, OUT, IN, IN, OUT, OUT, OUT, OUT]
    )
    assert scene.events == [(1, B), (2, E)]


def test_outside_the_schedule_no_event_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecam_core.events.schedule.Schedule.covers", lambda _, stamp: stamp >= START + 4 * STEP)
    assert EngineScene("a: dog enters left frames=1/1 schedule=Sat").walk([IN, IN, OUT, OUT, IN]).events == [(4, B)]
    assert EngineScene("a: dog count above 0 frames=1/1 schedule=Sat").walk([IN] * 6).events == [(4, B)]


def test_zones_of_one_camera() -> None:
    scene = EngineScene("a: dog enters porch")
    scene.see(dog(IN), camera="rear", frames=3).see(dog(IN), camera="front", frames=3)
    assert [one.camera for one in scene.full] == ["front"]


def test_the_lower_edge_of_the_box_can_count() -> None:
    zones = ("floor: 0,0.55 1,0.55 1,1 0,1",)
    assert EngineScene("a: dog enters floor", zones=zones).walk([IN] * 3).events == []
    assert EngineScene("a: dog enters floor point=bottom", zones=zones).walk([IN] * 3).events == [(1, B)]
    assert EngineScene("a: dog enters floor point=bottom", zones=zones).see(dog(IN, 0.99), frames=3).events == [(1, B)]


def test_a_clock_that_goes_back_starts_over() -> None:
    scene = EngineScene("a: dog stays 300ms in left").see(dog(IN), frames=6)
    scene.stamp = START - 10 * SECOND
    scene.see(dog(IN), frames=3)
    assert scene.events == [(3, B), (6, E)]
    assert scene.full[-1].stamp_ns == START + 5 * STEP
    scene.see(dog(IN), frames=2)
    assert scene.events[2:] == [(9, B)]
    assert scene.engine.counters.totals() == {"the clock went back: started over": 1}


def test_single_late_and_repeated_frames_are_left_out() -> None:
    scene = EngineScene("a: dog enters left frames=1/1").see(dog(IN), frames=3)
    scene.stamp -= 2 * STEP
    scene.see(dog(OUT), frames=2)
    assert scene.events == [(0, B)]
    assert scene.engine.counters.totals() == {"frame out of order": 1, "frame with the stamp of an earlier one": 1}


def test_time_without_frames_does_not_count() -> None:
    scene = EngineScene("a: dog absent 20s", "b: dog enters left", max_gap=5.0).see(dog(IN), frames=2)
    scene.stamp += 60 * SECOND
    scene.see(frames=2)
    assert [(one.rule, one.state) for one in scene.full] == [("b", BEGIN), ("b", END)]


def test_detections_without_ids_are_tracked_here() -> None:
    scene = EngineScene("a: dog enters left")
    scene.walk([IN, IN], track="")
    assert scene.engine.untracked == []
    scene.walk([IN] * 6, track="")
    assert scene.engine.untracked == [""]
    assert [one.state for one in scene.full] == [BEGIN]
    scene.walk([OUT] * 8, track="")
    assert [one.state for one in scene.full if one.state != BETTER] == [BEGIN, END]


def test_unconfirmed_detections_of_a_tracking_detector_are_left_out() -> None:
    scene = EngineScene("a: dog enters left").see(dog(OUT), frames=2)
    scene.see(dog(IN, track=""), frames=8)
    assert scene.events == []
    assert scene.engine.untracked == []


def test_changed_rules_end_their_events_and_start_over() -> None:
    scene = EngineScene("a: dog enters left").see(dog(IN), frames=2)
    settings = scene.engine.settings
    assert scene.engine.update(settings.changed(pre_roll=1.0)) == []
    assert scene.engine.lasting == 1
    assert [one.state for one in scene.engine.update(settings.changed(rules=("b: dog enters left",)))] == [END]
    assert scene.see(dog(IN), frames=2).full[-1].rule == "b"
    assert [one.rule for one in scene.engine.finish()] == ["b"]


def test_an_event_id_is_a_valid_file_name() -> None:
    assert new_id("Ä/../b" * 50, 0).startswith("19700101-000000-_")
    assert len(new_id("x" * 60, 2**62)) < 100
    assert new_id("a", 0) != new_id("a", 0)


_X = st.floats(-0.2, 1.2)
_RULES = (
    "a: any enters left", "b: dog leaves left", "c: dog stays 300ms in left cooldown=1s", "d: any crosses gate",
    "e: any count above 1 in left for 200ms", "f: dog absent 500ms", "g: any enters porch frames=3/10",
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.integers(-3 * SECOND, 3 * SECOND),
            st.lists(
                st.tuples(_X, _X, st.sampled_from(["", "1", "2", "x"]), st.sampled_from(["dog", "cat"])), max_size=4
            ),
        ),
        max_size=40,
    )
)
def test_every_event_begins_once_and_ends_once(frames: list[tuple[int, list[tuple[float, float, str, str]]]]) -> None:
    values = {"zones": ZONES, "lines": LINES, "rules": _RULES, "max_gap": 2.0}
    numbers = itertools.count()
    engine = EventEngine(EventsSettings.from_mapping(values), lambda rule, stamp: f"{rule}-{next(numbers)}")
    events, stamp = [], START
    for step, found in frames:
        stamp += step
        boxes = [dog(x, y, track=track, label=label) for x, y, track, label in found]
        events += engine.process("front", stamp, "", SIZE, boxes)
    events += engine.finish()
    open_ones: dict[str, Event] = {}
    ended = set()
    for one in events:
        if one.state == BEGIN:
            assert one.id not in open_ones
            assert one.id not in ended
            open_ones[one.id] = one
        elif one.state == END:
            begun = open_ones.pop(one.id)
            ended.add(one.id)
            assert one.start_ns == begun.stamp_ns <= one.stamp_ns
            assert one.score >= begun.score
        else:
            assert one.id in open_ones
    assert open_ones == {}
    assert engine.lasting == 0
