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

"""Parses rules: ``name: condition option=value ...``. KINDS lists the conditions, OPTIONS the options.

Example: ``dog-on-sofa: dog stays 3s in sofa frames=3/5 cooldown=30s``.
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
    """One kind of condition. ``pattern`` matches what follows the rule's name; ``syntax`` and ``example`` explain it.

    ``hysteresis`` is the default of that option: a distance as a fraction of the image, or a number of objects (count);
    None if it does not apply.
    """

    name: str
    syntax: str
    example: str
    pattern: str
    text: str
    hysteresis: float | None = None


KINDS = (
    Kind("enters", "CLASS enters ZONE", "person enters garden", f"{_LABELS} enters {_AREA}",
         "An object enters the zone; ends when the object leaves or is lost.", 0.01),
    Kind("leaves", "CLASS leaves ZONE", "person leaves garden", f"{_LABELS} leaves {_AREA}",
         "An object leaves the zone, or is lost in it.", 0.01),
    Kind("stays", "CLASS stays TIME in ZONE", "dog stays 3s in sofa", f"{_LABELS} stays {_TIME} in {_AREA}",
         "An object has been in the zone for this time; ends when it leaves or is lost.", 0.01),
    Kind("crosses", "CLASS crosses LINE [left-to-right|right-to-left]", "person crosses gate left-to-right",
         rf"{_LABELS} crosses {_AREA}(?: (?P<direction>left-to-right|right-to-left))?",
         "An object crosses the line; left and right as seen from its first point to its second.", 0.01),
    Kind("count", "CLASS count above|below NUMBER [in ZONE] [for TIME]", "person count above 5 in hall for 2s",
         rf"{_LABELS} count (?P<side>above|below) (?P<limit>\d{{1,6}})(?: in {_AREA})?(?: for {_TIME})?",
         "The number of objects is above, or below, this number; ends when it no longer is.", 0.0),
    Kind("absent", "CLASS absent [from ZONE] [for] TIME", "cat absent 10m",
         rf"{_LABELS} absent(?: from {_AREA})?(?: for)? {_TIME}",
         "There has been no such object for this time; ends when there is one."),
)  # fmt: skip


@dataclass(frozen=True)
class EventRule:
    """One rule. ``labels`` are case-folded; empty: every class. ``zone`` names a zone, or the line of ``crosses``.

    ``hold`` is in seconds. ``limit`` and ``side`` belong to count, ``direction`` to crosses (empty: both). The
    condition counts as met, or as no longer met, if ``needed`` of the last ``of`` frames agree. ``text`` is the source.
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

    def matches(self, label: str) -> bool:
        """Whether the rule applies to objects of this class."""
        return not self.labels or label.casefold() in self.labels


def seconds(text: str) -> float:
    """Parse ``3s``, ``500ms``, ``10m``, ``1.5h`` or ``2d``. Raises ValueError with the remedy."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a time; use a number and ms, s, m, h or d, like 3s or 10m")
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
        raise ValueError(f"point={text} must be center or bottom: the point of the box that must be in the zone")
    return {"point": text}


@dataclass(frozen=True)
class Option:
    """An ``option=value`` of a rule; ``parse`` returns fields of :class:`EventRule` or raises ValueError."""

    name: str
    example: str
    default: str
    text: str
    parse: Callable[[str], dict[str, Any]]


OPTIONS = (
    Option("frames", "3/5", "2/3", "N of the last M frames must agree before an event begins or ends.", _frames),
    Option("cooldown", "30s", "0s", "After an event ends, this rule starts no other in this camera for this time.",
           lambda text: {"cooldown": seconds(text)}),
    Option("schedule", "Mon-Fri/08:00-18:00", "always",
           "When events may begin, in local time; several periods separated by commas.",
           lambda text: {"schedule": parse_schedule(text)}),
    Option("hysteresis", "0.02", "0.01; count: 0",
           "How far beyond the edge or the line an object must be to count as outside, as a fraction of the image; "
           "for count: by how many objects the number must be back within the limit to end the event.", _hysteresis),
    Option("point", "bottom", "center", "The point of the box that must be in the zone: its center, or the middle of "
           "its lower edge (where a person stands).", _point),
)  # fmt: skip


def parse_rules(texts: Iterable[str], zones: Iterable[Shape], lines: Iterable[Shape]) -> tuple[EventRule, ...]:
    """Parse the parameter ``rules``; every zone and line in it must exist.

    Raises:
        SettingError: a text is not a rule (the message explains why and gives an example), or a name is used twice.
    """
    rules: dict[str, EventRule] = {}
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


def _check_shape(rule: EventRule, known: dict[bool, list[str]]) -> None:
    line = rule.kind == "crosses"
    if not rule.zone or rule.zone in known[line]:
        return
    what, parameter = ("line", "lines") if line else ("zone", "zones")
    names = ", ".join(known[line]) or "none"
    hint = f"; {rule.zone} is a {'zone' if line else 'line'}" if rule.zone in known[not line] else ""
    raise ValueError(f"there is no {what} '{rule.zone}'{hint}; the parameter {parameter} has {names}")


def parse_rule(text: str) -> EventRule:
    """Parse one rule. Raises ValueError with the reason and the remedy."""
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
        raise ValueError("there cannot be fewer than 0 objects; use 'absent', or 'below 1'")
    if kind.name in ("stays", "absent") and not fields["hold"]:
        raise ValueError("the time must be above 0s")
    labels = _labels(found.pop("labels"))
    return EventRule(name.strip(), kind.name, labels, text=text, **found, **fields)


def _kind(sentence: str) -> tuple[Kind, re.Match[str]]:
    for kind in KINDS:
        if match := re.fullmatch(kind.pattern, sentence):
            return kind, match
    likely = [kind for kind in KINDS if kind.name in sentence.split()] or KINDS
    patterns = ", ".join(f"'{kind.syntax}'" for kind in likely)
    raise ValueError(f"'{sentence}' must have the form {patterns}; for example '{likely[0].example}'")


def _option(word: str, kind: Kind) -> dict[str, Any]:
    name, _, value = word.partition("=")
    option = next((one for one in OPTIONS if one.name == name), None)
    if option is None:
        raise ValueError(f"there is no option '{name}'; there are {', '.join(one.name for one in OPTIONS)}")
    if name == "hysteresis" and kind.hysteresis is None:
        raise ValueError(f"'{kind.name}' has no hysteresis; use frames=N/M to suppress flicker")
    return option.parse(value)


def _labels(text: str) -> frozenset[str]:
    labels = frozenset(part.strip().casefold() for part in text.split("|"))
    if "" in labels:
        raise ValueError(f"'{text}' must be a class, several classes separated by | ('cat|dog'), or '{ANY}'")
    return frozenset() if ANY in labels else labels
