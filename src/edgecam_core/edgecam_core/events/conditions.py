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

"""The state of the rules from frame to frame: when a condition begins and ends. Uses no clock but the stamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edgecam_core.events.objects import Object
from edgecam_core.events.rules import EventRule
from edgecam_core.events.zones import LEFT_TO_RIGHT, RIGHT_TO_LEFT, Shape

SECOND = 10**9


class FrameObjects(NamedTuple):
    """The objects in one frame of a camera. ``lost_ns`` is the time after which an unseen object is lost."""

    stamp_ns: int
    objects: list[Object]
    lost_ns: int


class Change(NamedTuple):
    """A condition begins or ends. ``key`` is the track id, empty for a condition that is not about one object.

    ``instant``: it begins and ends in this frame. ``object`` is the object when it was last seen, if there is one.
    """

    begins: bool
    key: str
    object: Object | None = None
    detail: str = ""
    instant: bool = False


class Debounce:
    """Becomes true if ``needed`` of the last ``of`` samples are true, and false if too many of them are false for that.

    A sample of None is neither true nor false. ``since_ns`` is the stamp of the first of the true samples that made it
    true.
    """

    def __init__(self, needed: int, of: int) -> None:
        self._needed, self._of = needed, of
        self._samples: deque[tuple[bool | None, int]] = deque(maxlen=of)
        self.value = False
        self.since_ns = 0

    def add(self, sample: bool | None, stamp_ns: int) -> bool:
        """Add a sample; returns the new value."""
        self._samples.append((sample, stamp_ns))
        true = [stamp for one, stamp in self._samples if one]
        false = sum(one is False for one, _ in self._samples)
        if not self.value and len(true) >= self._needed:
            self.value, self.since_ns = True, true[0]
        elif self.value and false >= max(self._needed, self._of - self._needed + 1):
            self.value = False
        return self.value

    def clear(self) -> None:
        """Drop all samples; the value becomes false."""
        self._samples.clear()
        self.value = False


class Condition:
    """The condition of one rule in one camera. :meth:`update` takes every frame in order and yields the changes.

    ``lasting``: if schedule or cooldown prevent an event, it begins later, provided the condition is still met.
    """

    lasting = True

    def __init__(self, rule: EventRule, shape: Shape | None) -> None:
        self.rule, self.shape = rule, shape

    def update(self, frame: FrameObjects) -> Iterator[Change]:
        raise NotImplementedError

    def _in_zone(self, one: Object, slack: float = 0.0) -> bool:
        return self.shape is None or self.shape.distance(*one.point(self.rule.point)) >= -slack


@dataclass
class _Presence:
    """One object's presence in the zone."""

    inside: Debounce
    object: Object
    seen_ns: int
    began: bool = False


class InZone(Condition):
    """enters, leaves, stays: for each object separately."""

    def __init__(self, rule: EventRule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self.lasting = rule.kind == "stays"
        self._present: dict[str, _Presence] = {}

    def update(self, frame: FrameObjects) -> Iterator[Change]:
        unseen = dict(self._present)
        for one in frame.objects:
            if not self.rule.matches(one.label):
                continue
            unseen.pop(one.track_id, None)
            presence = self._present.get(one.track_id)
            if presence is None:
                presence = _Presence(Debounce(self.rule.needed, self.rule.of), one, frame.stamp_ns)
                self._present[one.track_id] = presence
            was = presence.inside.value
            presence.object, presence.seen_ns = one, frame.stamp_ns
            presence.inside.add(self._in_zone(one, self.rule.hysteresis if was else 0.0), frame.stamp_ns)
            yield from self._changes(presence, was, frame.stamp_ns)
        for key, presence in unseen.items():
            was = presence.inside.value
            if frame.stamp_ns - presence.seen_ns > frame.lost_ns:
                del self._present[key]
                presence.inside.clear()
            else:
                presence.inside.add(None, frame.stamp_ns)
            yield from self._changes(presence, was, frame.stamp_ns)

    def _changes(self, presence: _Presence, was: bool, stamp_ns: int) -> Iterator[Change]:
        now, key = presence.inside.value, presence.object.track_id
        if self.rule.kind == "leaves":
            if was and not now:
                yield Change(True, key, presence.object, instant=True)
            return
        long_enough = stamp_ns - presence.inside.since_ns >= self.rule.hold * SECOND
        if now and not presence.began and long_enough:
            presence.began = True
            yield Change(True, key, presence.object)
        elif not now and presence.began:
            presence.began = False
            yield Change(False, key, presence.object)


@dataclass
class _Crossing:
    """One object relative to the line: its side (1: right, -1: left, 0: unknown), the last point on that side (``old``)
    and the first point on the other (``new``)."""

    across: Debounce
    seen_ns: int
    side: int = 0
    old: tuple[float, float] = (0.0, 0.0)
    new: tuple[float, float] | None = None


class Crosses(Condition):
    """crosses: an object has moved to the other side of the line, through the line and not around its ends."""

    lasting = False

    def __init__(self, rule: EventRule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._crossings: dict[str, _Crossing] = {}

    def update(self, frame: FrameObjects) -> Iterator[Change]:
        for one in frame.objects:
            if not self.rule.matches(one.label):
                continue
            crossing = self._crossings.get(one.track_id)
            if crossing is None:
                crossing = self._crossings[one.track_id] = _Crossing(Debounce(self.rule.needed, self.rule.of), 0)
            crossing.seen_ns = frame.stamp_ns
            direction = self._step(crossing, one.point(self.rule.point), frame.stamp_ns)
            if direction and self.rule.direction in ("", direction):
                yield Change(True, one.track_id, one, direction, instant=True)
        for key, crossing in list(self._crossings.items()):
            if frame.stamp_ns - crossing.seen_ns > frame.lost_ns:
                del self._crossings[key]

    def _step(self, crossing: _Crossing, point: tuple[float, float], stamp_ns: int) -> str:
        """The direction in which the object crosses the line in this frame; empty if it does not."""
        assert self.shape is not None
        distance = self.shape.distance(*point)
        side = 0 if abs(distance) < self.rule.hysteresis else 1 if distance >= 0 else -1
        if crossing.side == 0 or side == crossing.side:
            crossing.side, crossing.old, crossing.new = side, point, None
        elif side:
            crossing.new = crossing.new or point
        if not crossing.across.add(side == -crossing.side if side else None, stamp_ns) or crossing.new is None:
            return ""
        crossed = crosses_segment(crossing.old, crossing.new, self.shape)
        crossing.across.clear()
        crossing.side, crossing.old, crossing.new = side, point, None
        return (LEFT_TO_RIGHT if side > 0 else RIGHT_TO_LEFT) if crossed else ""


def crosses_segment(old: tuple[float, float], new: tuple[float, float], line: Shape) -> bool:
    """Whether the two ends of the line lie on different sides of the path from ``old`` to ``new``."""
    (ax, ay), (bx, by) = line.points.tolist()
    dx, dy = new[0] - old[0], new[1] - old[1]
    side_a = dx * (ay - old[1]) - dy * (ax - old[0])
    side_b = dx * (by - old[1]) - dy * (bx - old[0])
    return side_a * side_b <= 0


@dataclass
class _Level:
    """The state of a condition on the whole frame."""

    met: Debounce
    began: bool = False
    objects: list[Object] = field(default_factory=list)


class Count(Condition):
    """count: the number of objects is above or below a limit."""

    def __init__(self, rule: EventRule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._level = _Level(Debounce(rule.needed, rule.of))

    def update(self, frame: FrameObjects) -> Iterator[Change]:
        level, rule = self._level, self.rule
        count = sum(rule.matches(one.label) and self._in_zone(one) for one in frame.objects)
        slack = rule.hysteresis if level.met.value else 0.0
        now = level.met.add(
            count > rule.limit - slack if rule.side == "above" else count < rule.limit + slack, frame.stamp_ns
        )
        if now and not level.began and frame.stamp_ns - level.met.since_ns >= rule.hold * SECOND:
            level.began = True
            yield Change(True, "", None, str(count))
        elif not now and level.began:
            level.began = False
            yield Change(False, "", None, str(count))


class Absent(Condition):
    """absent: there has been no such object for the given time."""

    def __init__(self, rule: EventRule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._there = Debounce(rule.needed, rule.of)
        self._last_ns: int | None = None
        self._began = False

    def update(self, frame: FrameObjects) -> Iterator[Change]:
        sample = any(self.rule.matches(one.label) and self._in_zone(one) for one in frame.objects)
        there = self._there.add(sample, frame.stamp_ns)
        if self._last_ns is None or (there and sample):
            self._last_ns = frame.stamp_ns
        if there and self._began:
            self._began = False
            yield Change(False, "")
        elif not there and not self._began and frame.stamp_ns - self._last_ns >= self.rule.hold * SECOND:
            self._began = True
            yield Change(True, "")


CONDITIONS: dict[str, type[Condition]] = {
    "enters": InZone, "leaves": InZone, "stays": InZone, "crosses": Crosses, "count": Count, "absent": Absent,
}  # fmt: skip
