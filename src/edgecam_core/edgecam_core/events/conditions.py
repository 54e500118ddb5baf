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

"""What the rules remember from frame to frame, and when a condition begins and ends. No clock inside."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edgecam_core.events.objects import Object
from edgecam_core.events.rules import Rule
from edgecam_core.events.zones import LEFT_TO_RIGHT, RIGHT_TO_LEFT, Shape

SECOND = 10**9


class Look(NamedTuple):
    """One frame of a camera: its stamp, its objects, and how long an object may be unseen, in nanoseconds."""

    stamp_ns: int
    objects: list[Object]
    lost_ns: int


class Change(NamedTuple):
    """A condition that begins or ends. ``key`` tells the conditions of a rule apart: the track id, or empty.

    ``instant``: it begins and ends in this frame. ``object`` is the object as it was seen last, if there is one.
    """

    begins: bool
    key: str
    object: Object | None = None
    detail: str = ""
    instant: bool = False


class Debounce:
    """True after ``needed`` of the last ``of`` samples are true, false after so many are false that they cannot be.

    A sample of None is a frame that says neither. ``since_ns`` is the stamp of the first true sample of those that
    made it true.
    """

    def __init__(self, needed: int, of: int) -> None:
        self._needed, self._of = needed, of
        self._samples: deque[tuple[bool | None, int]] = deque(maxlen=of)
        self.value = False
        self.since_ns = 0

    def add(self, sample: bool | None, stamp_ns: int) -> bool:
        self._samples.append((sample, stamp_ns))
        true = [stamp for one, stamp in self._samples if one]
        false = sum(one is False for one, _ in self._samples)
        if not self.value and len(true) >= self._needed:
            self.value, self.since_ns = True, true[0]
        elif self.value and false >= max(self._needed, self._of - self._needed + 1):
            self.value = False
        return self.value

    def clear(self) -> None:
        self._samples.clear()
        self.value = False


class Condition:
    """Base of what a rule watches in one camera. ``look`` gets every frame in order and yields the changes.

    ``lasting``: where the schedule or the cooldown forbid an event, it begins later if the condition is met then.
    """

    lasting = True

    def __init__(self, rule: Rule, shape: Shape | None) -> None:
        self.rule, self.shape = rule, shape

    def look(self, look: Look) -> Iterator[Change]:
        raise NotImplementedError

    def _in_zone(self, one: Object, slack: float = 0.0) -> bool:
        return self.shape is None or self.shape.distance(*one.point(self.rule.point)) >= -slack


@dataclass
class _Presence:
    """One object's way in and out of the zone."""

    inside: Debounce
    object: Object
    seen_ns: int
    began: bool = False


class InZone(Condition):
    """enters, leaves, stays: every object by itself."""

    def __init__(self, rule: Rule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self.lasting = rule.kind == "stays"
        self._present: dict[str, _Presence] = {}

    def look(self, look: Look) -> Iterator[Change]:
        unseen = dict(self._present)
        for one in look.objects:
            if not self.rule.wants(one.label):
                continue
            unseen.pop(one.track_id, None)
            presence = self._present.get(one.track_id)
            if presence is None:
                presence = _Presence(Debounce(self.rule.needed, self.rule.of), one, look.stamp_ns)
                self._present[one.track_id] = presence
            was = presence.inside.value
            presence.object, presence.seen_ns = one, look.stamp_ns
            presence.inside.add(self._in_zone(one, self.rule.hysteresis if was else 0.0), look.stamp_ns)
            yield from self._changes(presence, was, look.stamp_ns)
        for key, presence in unseen.items():
            was = presence.inside.value
            if look.stamp_ns - presence.seen_ns > look.lost_ns:
                del self._present[key]
                presence.inside.clear()
            else:
                presence.inside.add(None, look.stamp_ns)
            yield from self._changes(presence, was, look.stamp_ns)

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
class _Walker:
    """One object's way across the line: the side it is known to be on, its last point there, its first beyond."""

    across: Debounce
    seen_ns: int
    side: int = 0
    old: tuple[float, float] = (0.0, 0.0)
    new: tuple[float, float] | None = None


class Crosses(Condition):
    """crosses: an object is on the other side of the line, and its way there went through the line."""

    lasting = False

    def __init__(self, rule: Rule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._walkers: dict[str, _Walker] = {}

    def look(self, look: Look) -> Iterator[Change]:
        for one in look.objects:
            if not self.rule.wants(one.label):
                continue
            walker = self._walkers.get(one.track_id)
            if walker is None:
                walker = self._walkers[one.track_id] = _Walker(Debounce(self.rule.needed, self.rule.of), 0)
            walker.seen_ns = look.stamp_ns
            direction = self._step(walker, one.point(self.rule.point), look.stamp_ns)
            if direction and self.rule.direction in ("", direction):
                yield Change(True, one.track_id, one, direction, instant=True)
        for key, walker in list(self._walkers.items()):
            if look.stamp_ns - walker.seen_ns > look.lost_ns:
                del self._walkers[key]

    def _step(self, walker: _Walker, point: tuple[float, float], stamp_ns: int) -> str:
        """The direction in which the object has crossed with this frame; empty: it has not."""
        assert self.shape is not None
        distance = self.shape.distance(*point)
        side = 0 if abs(distance) < self.rule.hysteresis else 1 if distance >= 0 else -1
        if walker.side == 0 or side == walker.side:
            walker.side, walker.old, walker.new = side, point, None
        elif side:
            walker.new = walker.new or point
        if not walker.across.add(side == -walker.side if side else None, stamp_ns) or walker.new is None:
            return ""
        crossed = meet(walker.old, walker.new, self.shape)
        walker.across.clear()
        walker.side, walker.old, walker.new = side, point, None
        return (LEFT_TO_RIGHT if side > 0 else RIGHT_TO_LEFT) if crossed else ""


def meet(old: tuple[float, float], new: tuple[float, float], line: Shape) -> bool:
    """Whether the way from one point to another goes through the line between its two ends."""
    (ax, ay), (bx, by) = line.points.tolist()
    way = (new[0] - old[0], new[1] - old[1])
    from_a = way[0] * (ay - old[1]) - way[1] * (ax - old[0])
    from_b = way[0] * (by - old[1]) - way[1] * (bx - old[0])
    return from_a * from_b <= 0


@dataclass
class _Level:
    """A condition on the frame as a whole that lasts."""

    met: Debounce
    began: bool = False
    objects: list[Object] = field(default_factory=list)


class Count(Condition):
    """count: how many objects there are."""

    def __init__(self, rule: Rule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._level = _Level(Debounce(rule.needed, rule.of))

    def look(self, look: Look) -> Iterator[Change]:
        level, rule = self._level, self.rule
        count = sum(rule.wants(one.label) and self._in_zone(one) for one in look.objects)
        slack = rule.hysteresis if level.met.value else 0.0
        now = level.met.add(
            count > rule.limit - slack if rule.side == "above" else count < rule.limit + slack, look.stamp_ns
        )
        if now and not level.began and look.stamp_ns - level.met.since_ns >= rule.hold * SECOND:
            level.began = True
            yield Change(True, "", None, str(count))
        elif not now and level.began:
            level.began = False
            yield Change(False, "", None, str(count))


class Absent(Condition):
    """absent: there has been no such object for so long."""

    def __init__(self, rule: Rule, shape: Shape | None) -> None:
        super().__init__(rule, shape)
        self._there = Debounce(rule.needed, rule.of)
        self._last_ns: int | None = None
        self._began = False

    def look(self, look: Look) -> Iterator[Change]:
        sample = any(self.rule.wants(one.label) and self._in_zone(one) for one in look.objects)
        there = self._there.add(sample, look.stamp_ns)
        if self._last_ns is None or (there and sample):
            self._last_ns = look.stamp_ns
        if there and self._began:
            self._began = False
            yield Change(False, "")
        elif not there and not self._began and look.stamp_ns - self._last_ns >= self.rule.hold * SECOND:
            self._began = True
            yield Change(True, "")


CONDITIONS: dict[str, type[Condition]] = {
    "enters": InZone, "leaves": InZone, "stays": InZone, "crosses": Crosses, "count": Count, "absent": Absent,
}  # fmt: skip
