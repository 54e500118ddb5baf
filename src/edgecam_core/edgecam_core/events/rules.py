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

"""Rules as text: ``name: what happens option=value ...``, parsed with two tables.

``dog-on-sofa: dog stays 3s in sofa frames=3/5 cooldown=30s``. KINDS has what can happen, OPTIONS what follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import SettingError
from edgecam_core.events.schedule import ALWAYS, Schedule, parse_schedule
from edgecam_core.events.zones import Shape

ANY = "any"
_NAME = re.compile(r"[\w-]{1,60}")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LABELS, _AREA, _TIME = r"(?P<labels>\S.*?)", r"(?P<zone>[\w-]+)", r"(?P<hold>\d\S*)"
MOST_FRAMES = 300


@dataclass(frozen=True)
class Kind:
    """What can happen. ``pattern`` matches the words after the rule's name; ``form`` and ``example`` explain it.

    ``hysteresis`` is the default and the unit of that option: a distance in fractions of the image, or a number of
    objects; None where it has no meaning.
    """

    name: str
    form: str
    example: str
    pattern: str
    text: str
    hysteresis: float | None = None


KINDS = (
    Kind("enters", "CLASS enters ZONE", "person enters garden", f"{_LABELS} enters {_AREA}",
         "An object is in the zone that was not; ends when it is outside or lost.", 0.01),
    Kind("leaves", "CLASS leaves ZONE", "person leaves garden", f"{_LABELS} leaves {_AREA}",
         "An object that was in the zone is outside, or lost.", 0.01),
    Kind("stays", "CLASS stays TIME in ZONE", "dog stays 3s in sofa", f"{_LABELS} stays {_TIME} in {_AREA}",
         "An object has been in the zone for that long; ends when it is outside or lost.", 0.01),
    Kind("crosses", "CLASS crosses LINE [left-to-right|right-to-left]", "person crosses gate left-to-right",
         rf"{_LABELS} crosses {_AREA}(?: (?P<direction>left-to-right|right-to-left))?",
         "An object crosses the line; left and right as seen from its first point to its second.", 0.01),
    Kind("count", "CLASS count above|below NUMBER [in ZONE] [for TIME]", "person count above 5 in hall for 2s",
         rf"{_LABELS} count (?P<side>above|below) (?P<limit>\d{{1,6}})(?: in {_AREA})?(?: for {_TIME})?",
         "More, or fewer, objects than the number; ends when that is no longer so.", 0.0),
    Kind("absent", "CLASS absent [from ZONE] [for] TIME", "cat absent 10m",
         rf"{_LABELS} absent(?: from {_AREA})?(?: for)? {_TIME}",
         "No such object for that long; ends when there is one."),
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One rule. ``labels`` are case-folded; empty: every class. ``zone`` names a zone, or the line of ``crosses``.

    ``hold`` is in seconds. ``limit`` and ``side`` belong to count, ``direction`` to crosses (empty: both). The
    condition is taken as met, or as no longer met, after ``needed`` of the last ``of`` frames.
    """

    name: str
    kind: str
    labels: frozenset[str]
    zone: str = ""
    hold: float = 0.0
    side: str = ""
    limit: int = 0
    direction: str = ""
    needed: int = 2
    of: int = 3
    cooldown: float = 0.0
    hysteresis: float = 0.0
    point: str = "center"
    schedule: Schedule = ALWAYS
    text: str = ""

    def wants(self, label: str) -> bool:
        return not self.labels or label.casefold() in self.labels


def seconds(text: str) -> float:
    """``3s``, ``500ms``, ``10m``, ``1.5h``, ``2d`` to seconds. Raises ValueError with the remedy."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no time; use a number and ms, s, m, h or d, like 3s or 10m")
    return float(match[1]) * _SECONDS[match[2]]


def _frames(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_FRAMES:
        raise ValueError(f"frames={text} must be N/M, N of the last M frames, like frames=3/5; M up to {MOST_FRAMES}")
    return {"needed": int(match[1]), "of": int(match[2])}


def _hysteresis(text: str) -> dict[str, Any]:
    if not re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", text):
        raise ValueError(f"hysteresis={text} must be a number, like hysteresis=0.02 (of the image) or 1 (objects)")
    return {"hysteresis": float(text)}


def _point(text: str) -> dict[str, Any]:
    if text not in ("center", "bottom"):
        raise ValueError(f"point={text} must be center or bottom: the point of the box that is in the zone or not")
    return {"point": text}


@dataclass(frozen=True)
class Option:
    """``option=value`` after the words of a rule; ``parse`` gives the rule's fields or raises ValueError."""

    name: str
    example: str
    default: str
    text: str
    parse: Callable[[str], dict[str, Any]]


OPTIONS = (
    Option("frames", "3/5", "2/3", "N of the last M frames must agree before an event begins or ends.", _frames),
    Option("cooldown", "30s", "0s", "After an event ends, no other of this rule and camera begins for that long.",
           lambda text: {"cooldown": seconds(text)}),
    Option("schedule", "Mon-Fri/08:00-18:00", "always", "When events may begin, in local time; several with commas.",
           lambda text: {"schedule": parse_schedule(text)}),
    Option("hysteresis", "0.02", "0.01; count: 0",
           "How far beyond the edge or the line an object must be to count as outside, as a fraction of the image; "
           "of count: how many objects below (above) the limit end the event.", _hysteresis),
    Option("point", "bottom", "center", "The point of the box that is in the zone or not: its center, or the middle "
           "of its lower edge (where a person stands).", _point),
)  # fmt: skip


def parse_rules(texts: Iterable[str], zones: Iterable[Shape], lines: Iterable[Shape]) -> tuple[Rule, ...]:
    """The rules of the parameter ``rules``; every zone and line they name must exist.

    Raises:
        SettingError: the text is no rule (says what is wrong and gives an example), or a name is used twice.
    """
    rules: dict[str, Rule] = {}
    known = {False: sorted({zone.name for zone in zones}), True: sorted({line.name for line in lines})}
    for text in texts:
        try:
            rule = parse_rule(text)
            _check_shape(rule, known)
            if rule.name in rules:
                raise ValueError(f"the name '{rule.name}' is given twice; use another one")
        except ValueError as error:
            raise SettingError("rules", text, str(error)) from None
        rules[rule.name] = rule
    return tuple(rules.values())


def _check_shape(rule: Rule, known: dict[bool, list[str]]) -> None:
    line = rule.kind == "crosses"
    if not rule.zone or rule.zone in known[line]:
        return
    what, parameter = ("line", "lines") if line else ("zone", "zones")
    there = ", ".join(known[line]) or "none"
    hint = f"; {rule.zone} is a {'zone' if line else 'line'}" if rule.zone in known[not line] else ""
    raise ValueError(f"there is no {what} '{rule.zone}'{hint}; the parameter {parameter} has {there}")


def parse_rule(text: str) -> Rule:
    """One rule. Raises ValueError with what is wrong and what works."""
    name, colon, rest = text.partition(":")
    if not colon or not _NAME.fullmatch(name.strip()):
        raise ValueError(
            "must begin with a name of letters, digits, - and _, and a colon, like 'dog-on-sofa: dog stays 3s in sofa'"
        )
    words = rest.split()
    options = [word for word in words if "=" in word]
    sentence = " ".join(word for word in words if "=" not in word)
    kind, match = _kind(sentence)
    found: dict[str, Any] = {key: value for key, value in match.groupdict().items() if value is not None}
    fields: dict[str, Any] = {"hysteresis": kind.hysteresis or 0.0}
    for word in options:
        fields |= _option(word, kind)
    if "hold" in found:
        fields["hold"] = seconds(found.pop("hold"))
    if "limit" in found:
        fields["limit"] = int(found.pop("limit"))
    if found.get("side") == "below" and fields["limit"] == 0:
        raise ValueError("there are never fewer than 0 objects; use 'absent', or 'below 1'")
    if kind.name in ("stays", "absent") and not fields["hold"]:
        raise ValueError("the time must be above 0s")
    labels = _labels(found.pop("labels"))
    return Rule(name.strip(), kind.name, labels, text=text, **found, **fields)


def _kind(sentence: str) -> tuple[Kind, re.Match[str]]:
    for kind in KINDS:
        if match := re.fullmatch(kind.pattern, sentence):
            return kind, match
    meant = [kind for kind in KINDS if kind.name in sentence.split()] or KINDS
    forms = ", ".join(f"'{kind.form}'" for kind in meant)
    raise ValueError(f"'{sentence}' is none of {forms}; an example: '{meant[0].example}'")


def _option(word: str, kind: Kind) -> dict[str, Any]:
    name, _, value = word.partition("=")
    option = next((one for one in OPTIONS if one.name == name), None)
    if option is None:
        raise ValueError(f"there is no option '{name}'; there are {', '.join(one.name for one in OPTIONS)}")
    if name == "hysteresis" and kind.hysteresis is None:
        raise ValueError(f"'{kind.name}' has no hysteresis; use frames=N/M against flicker")
    return option.parse(value)


def _labels(text: str) -> frozenset[str]:
    labels = frozenset(part.strip().casefold() for part in text.split("|"))
    if "" in labels:
        raise ValueError(f"'{text}' must be a class, classes with | between them ('cat|dog'), or '{ANY}'")
    return frozenset() if ANY in labels else labels
