"""Zones, lines and rules as text: accepted values and errors."""

from __future__ import annotations

import contextlib
import time

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.events.rules import KINDS, OPTIONS, EventRule, parse_rule
from edgecam_core.events.schedule import parse_schedule
from edgecam_core.events.settings import EventsSettings
from edgecam_core.events.zones import parse_regions, parse_shapes, shapes_of
from hypothesis import given
from hypothesis import strategies as st

SOFA, GATE = "sofa: 0,0 1,0 1,1", "gate: 0,0.5 1,0.5"


def rule(text: str) -> EventRule:
    return EventsSettings(zones=(SOFA, "hall: 0,0 1,0 1,1"), lines=(GATE,), rules=(text,)).parsed_rules()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: dog enters sofa", {"kind": "enters", "labels": {"dog"}, "zone": "sofa", "needed": 2, "of": 3}),
        ("a: any leaves sofa", {"kind": "leaves", "labels": set(), "zone": "sofa"}),
        ("a: Dog stays 3s in sofa frames=3/5 cooldown=1m", {"hold": 3.0, "needed": 3, "of": 5, "cooldown": 60.0}),
        ("a: cat|dog stays 500ms in hall", {"labels": {"cat", "dog"}, "hold": 0.5}),
        ("a: person crosses gate left-to-right", {"kind": "crosses", "direction": "left-to-right"}),
        ("a: person crosses gate", {"direction": ""}),
        ("a: person count above 5 in hall for 2s", {"side": "above", "limit": 5, "zone": "hall", "hold": 2.0}),
        ("a: person count below 1", {"side": "below", "limit": 1, "zone": "", "hold": 0.0}),
        ("a: cat absent 10m", {"kind": "absent", "hold": 600.0, "zone": ""}),
        ("a: cat absent from sofa for 1.5h", {"zone": "sofa", "hold": 5400.0}),
        ("a:   dining   table   enters   sofa   point=bottom", {"labels": {"dining table"}, "point": "bottom"}),
        ("a: dog enters sofa hysteresis=0.05", {"hysteresis": 0.05}),
    ],
)
def test_a_rule_is_read(text: str, expected: dict[str, object]) -> None:
    found = rule(text)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dog enters sofa", "must begin with a name"),
        ("a: dog sits on sofa", "for example 'person enters garden'"),
        ("a: dog stays in sofa", "'CLASS stays TIME in ZONE'"),
        ("a: dog stays 3x in sofa", "'3x' is not a time"),
        ("a: dog stays 0s in sofa", "must be above 0s"),
        ("a: dog enters kitchen", "there is no zone 'kitchen'; the parameter zones has hall, sofa"),
        ("a: dog enters gate", "gate is a line"),
        ("a: dog crosses sofa", "there is no line 'sofa'; sofa is a zone; the parameter lines has gate"),
        ("a: dog count below 0", "cannot be fewer than 0"),
        ("a: dog count above five", "NUMBER"),
        ("a: dog enters sofa frames=5/3", "N of the last M frames"),
        ("a: dog enters sofa schedule=Mo", "days from Mon"),
        ("a: dog enters sofa colour=red", "there is no option 'colour'; there are frames"),
        ("a: dog absent 3s hysteresis=1", "'absent' has no hysteresis"),
        ("a: dog enters sofa point=top", "center or bottom"),
        ("a: dog| enters sofa", "must be a class"),
    ],
)
def test_text_that_is_not_a_rule_is_refused_with_the_remedy(text: str, reason: str) -> None:
    with pytest.raises(SettingError) as refused:
        rule(text)
    assert str(refused.value).startswith(f"parameter 'rules' is {text!r}: ")
    assert reason in str(refused.value)


def test_two_rules_need_two_names() -> None:
    with pytest.raises(SettingError, match="given twice"):
        EventsSettings(rules=("a: cat absent 1s", "a: dog absent 1s"))


def test_every_rule_and_option_has_a_description() -> None:
    for kind in KINDS:
        assert parse_rule(f"name: {kind.example}").kind == kind.name
        assert kind.text.endswith(".")
    for option in OPTIONS:
        parse_rule(f"name: dog enters sofa {option.name}={option.example}")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for wrapped in (text, f"a: {text}", f"a: dog enters sofa {text}", f"a: dog enters sofa schedule={text}"):
        with contextlib.suppress(ValueError):  # no other exception is raised
            assert parse_rule(wrapped).kind


@pytest.mark.parametrize(
    ("text", "moment", "covered"),
    [
        ("Mon-Fri/08:00-18:00", "2026-11-27 08:00", True),  # a Friday
        ("Mon-Fri/08:00-18:00", "2026-11-27 18:00", False),
        ("Mon-Fri/08:00-18:00", "2026-11-28 12:00", False),
        ("Sat,Sun", "2026-11-28 00:00", True),
        ("Sat,Sun", "2026-11-27 23:59", False),
        ("22:00-06:00", "2026-11-27 23:00", True),
        ("22:00-06:00", "2026-11-27 05:59", True),
        ("22:00-06:00", "2026-11-27 12:00", False),
        ("Fri/22:00-06:00", "2026-11-28 05:00", True),
        ("Fri/22:00-06:00", "2026-11-27 05:00", False),
        ("Sat-Mon", "2026-11-30 12:00", True),
        ("Sun/0:00-24:00", "2026-11-29 23:59", True),
        ("always", "2026-11-29 23:59", True),
    ],
)
def test_a_schedule_covers_local_time(text: str, moment: str, covered: bool) -> None:
    stamp = int(time.mktime(time.strptime(moment, "%Y-%m-%d %H:%M"))) * 10**9
    assert parse_schedule(text).covers(stamp) is covered


@pytest.mark.parametrize(
    "text", ["", "Mon-", "/08:00-18:00", "Mon/", "25:00-26:00", "8:00-8:00", "Mon08:00-09:00", ","]
)
def test_text_that_is_not_a_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be like Mon-Fri"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("setting", "text", "reason"),
    [
        ("zones", "sofa: 0,0 1,0 2,1", "point '2,1' is outside the image"),
        ("zones", "sofa: 0,0 1,0 1,-0.1", "point '1,-0.1' is outside the image"),
        ("zones", "sofa: 0,0 300,0 300,200", "fractions of the image, 0 to 1"),
        ("zones", "sofa: 0,0 0.5,0.5 1,1", "enclose no area"),
        ("zones", "sofa: 0,0 1,1", "three or more points"),
        ("zones", "sofa: 0,0 1,nan 1,1", "three or more points"),
        ("zones", "sofa: 0;0 1;0 1;1", "three or more points"),
        ("zones", "0,0 1,0 1,1", "must begin with a name"),
        ("zones", "my sofa: 0,0 1,0 1,1", "must begin with a name"),
        ("lines", "gate: 0,0 1,0 1,1", "two points"),
        ("lines", "gate: 0,0 0,0", "the two points coincide"),
        ("lines", "gate: 0,0 1,7", "point '1,7' is outside the image"),
        ("lines", "", "must begin with a name"),
    ],
)
def test_a_wrong_shape_is_refused_with_the_remedy(setting: str, text: str, reason: str) -> None:
    with pytest.raises(SettingError) as refused:
        EventsSettings.from_mapping({setting: (text,)})
    assert str(refused.value).startswith(f"parameter '{setting}' is {text!r}: ")
    assert reason in str(refused.value)


def test_regions_and_zones_share_one_parser() -> None:
    with pytest.raises(SettingError, match=r"parameter 'regions' is .*: point '2,0' is outside the image"):
        parse_regions("regions", ["front: 0,0 2,0 1,1"])
    with pytest.raises(SettingError, match="enclose no area"):
        parse_regions("regions", ["0,0 0.5,0 1,0"])


def test_a_camera_has_its_own_shapes_and_those_for_every_camera() -> None:
    shapes = parse_shapes("zones", ["a: 0,0 1,0 1,1", "b: 0,0 1,0 1,1", "front/a: 0,0 0.5,0 0.5,1"])
    assert shapes_of(shapes, "front")["a"].camera == "front"
    assert shapes_of(shapes, "rear")["a"].camera == ""
    assert set(shapes_of(shapes, "front")) == {"a", "b"}
    with pytest.raises(SettingError, match="given twice"):
        parse_shapes("zones", ["front/a: 0,0 1,0 1,1", "front/a: 0,0 1,0 1,1"])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8))
def test_a_shape_survives_the_conversion_to_text(points: list[tuple[float, float]]) -> None:
    text = "front/a: " + " ".join(f"{x},{y}" for x, y in points)
    with contextlib.suppress(SettingError):  # the points may lie on one line
        (shape,) = parse_shapes("zones", [text])
        (again,) = parse_shapes("zones", [shape.text()])
        assert (again.name, again.camera) == ("a", "front")
        assert abs(again.points - shape.points).max() < 1e-5


def test_the_sides_of_a_line_are_seen_in_its_direction() -> None:
    (up,) = parse_shapes("lines", ["a: 0.5,1 0.5,0"], line=True)  # upwards in the image
    assert up.distance(0.75, 0.5) == pytest.approx(0.25)
    assert up.distance(0.25, 0.5) == pytest.approx(-0.25)
