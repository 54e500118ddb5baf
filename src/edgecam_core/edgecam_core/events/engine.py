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

"""The engine: turns detections into events. Uses no clock but the frames' stamps."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edgecam_core.counters import Counters
from edgecam_core.events.conditions import CONDITIONS, SECOND, Change, Condition, FrameObjects
from edgecam_core.events.event import BEGIN, BETTER, END, Event
from edgecam_core.events.objects import Identities, Object
from edgecam_core.events.rules import ANY, EventRule
from edgecam_core.events.settings import EventsSettings
from edgecam_core.events.zones import shapes_of
from edgecam_core.types import Detection

_LATE_NS = SECOND  # a frame out of order may be this late; a larger step back means that the clock was set back
_FAR = 1e6  # pixels; a box further out is invalid
_BETTER = 0.02  # increase of the score that is worth another snapshot


@dataclass
class _Watched:
    """One rule in one camera: its condition, its ongoing events, and the changes that wait for schedule or cooldown."""

    rule: EventRule
    condition: Condition
    lasting: dict[str, Event] = field(default_factory=dict)
    waiting: dict[str, Change] = field(default_factory=dict)
    free_ns: int | None = None  # end of the cooldown

    def may_begin(self, stamp_ns: int) -> bool:
        return (self.free_ns is None or stamp_ns >= self.free_ns) and self.rule.schedule.covers(stamp_ns)


@dataclass
class _CameraRules:
    watched: list[_Watched]
    identities: Identities = field(default_factory=Identities)
    last_ns: int | None = None


def new_id(rule: str, stamp_ns: int) -> str:
    """An id that sorts by capture time (UTC) and is a valid file name on every system."""
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(stamp_ns // SECOND))
    return f"{when}-{re.sub('[^A-Za-z0-9-]+', '_', rule)[:60]}-{os.urandom(4).hex()}"


class EventEngine:
    """Finds the events of any number of cameras. Not thread-safe; no call blocks.

    ``counters`` counts skipped frames and their effects.
    """

    def __init__(self, settings: EventsSettings, make_id: Callable[[str, int], str] = new_id) -> None:
        self.settings = settings
        self.counters = Counters()
        self._make_id = make_id
        self._cameras: dict[str, _CameraRules] = {}
        self._apply(settings)

    @property
    def rules(self) -> tuple[EventRule, ...]:
        return self._rules

    @property
    def untracked(self) -> list[str]:
        """The cameras whose detections have no track ids; their objects are tracked here."""
        return sorted(name for name, camera in self._cameras.items() if not camera.identities.tracked)

    @property
    def lasting(self) -> int:
        """Number of ongoing events."""
        return sum(len(one.lasting) for camera in self._cameras.values() for one in camera.watched)

    def update(self, settings: EventsSettings) -> list[Event]:
        """Use other settings. If rules or shapes change, all ongoing events end; returns these."""
        same = (settings.zones, settings.lines, settings.rules) == (
            self.settings.zones, self.settings.lines, self.settings.rules,
        )  # fmt: skip
        if same:
            self.settings = settings
            return []
        ended = self.finish()
        self._apply(settings)
        return ended

    def _apply(self, settings: EventsSettings) -> None:
        self.settings = settings
        self._zones, self._lines, self._rules = (
            settings.parsed_zones(), settings.parsed_lines(), settings.parsed_rules(),
        )  # fmt: skip
        self._cameras.clear()

    def finish(self) -> list[Event]:
        """End all ongoing events, with the last frame of their camera; returns these."""
        return [event for name in list(self._cameras) for event in self._restart(name)]

    def process(
        self, camera: str, stamp_ns: int, frame_id: str, size: tuple[int, int], found: Sequence[Detection]
    ) -> list[Event]:
        """The events that begin, end or get a better score (BETTER) with the detections of one frame.

        Args:
            size: width and height of the frame in pixels.
            found: its detections, boxes in pixels.
        """
        events = self._continuity(camera, stamp_ns)
        if events is None:
            return []
        state = self._cameras.get(camera) or self._begin(camera)
        state.last_ns = stamp_ns
        valid = [one for one in found if _is_valid(one)]
        if len(valid) < len(found):
            self.counters.add("detection without a usable box", len(found) - len(valid))
        lost_ns, gap_ns = round(self.settings.lost_after * SECOND), round(self.settings.max_gap * SECOND)
        objects = state.identities.update(valid, size, stamp_ns, lost_ns, gap_ns)
        frame = FrameObjects(stamp_ns, objects, lost_ns)
        for watched in state.watched:
            events += self._watch(camera, frame_id, watched, frame)
        return events

    def _continuity(self, camera: str, stamp_ns: int) -> list[Event] | None:
        """The events that a jump of the stamps ends; None if the frame must be skipped."""
        last_ns = self._cameras[camera].last_ns if camera in self._cameras else None
        if last_ns is None:
            return []
        step = stamp_ns - last_ns
        if step > self.settings.max_gap * SECOND:
            self.counters.add("gap above max_gap: started over")
            return self._restart(camera)
        if step < -_LATE_NS:
            self.counters.add("the clock went back: started over")
            return self._restart(camera)
        if step <= 0:
            self.counters.add("frame with the stamp of an earlier one" if step == 0 else "frame out of order")
            return None
        return []

    def _begin(self, name: str) -> _CameraRules:
        zones, lines = shapes_of(self._zones, name), shapes_of(self._lines, name)
        watched = []
        for rule in self._rules:
            shape = (lines if rule.kind == "crosses" else zones).get(rule.zone)
            if shape is not None or not rule.zone:  # else the zone belongs to another camera
                watched.append(_Watched(rule, CONDITIONS[rule.kind](rule, shape)))
        state = self._cameras[name] = _CameraRules(watched)
        return state

    def _restart(self, camera: str) -> list[Event]:
        state = self._cameras.pop(camera)
        ended = [event for watched in state.watched for event in watched.lasting.values()]
        return [replace(event, state=END, stamp_ns=state.last_ns or event.stamp_ns) for event in ended]

    def _watch(self, camera: str, frame_id: str, watched: _Watched, frame: FrameObjects) -> list[Event]:
        """The events of one rule in this frame."""
        events = []
        for change in watched.condition.update(frame):
            if change.begins:
                watched.waiting[change.key] = change
            elif watched.waiting.pop(change.key, None) is None and change.key in watched.lasting:
                events.append(self._end(watched, watched.lasting.pop(change.key), frame.stamp_ns, change.detail))
        here = {one.track_id: one for one in frame.objects}
        for key, event in watched.lasting.items():
            if key in here and here[key].score > event.score + _BETTER:
                better = _with(replace(event, state=BETTER, stamp_ns=frame.stamp_ns), here[key])
                watched.lasting[key] = better
                events.append(better)
        for key, change in list(watched.waiting.items()):
            if watched.may_begin(frame.stamp_ns):
                one = here.get(key) or change.object
                events += self._started(
                    watched, self._event(camera, frame_id, watched.rule, change, one, frame.stamp_ns), change
                )
            elif watched.condition.lasting:
                continue
            else:
                self.counters.add("not begun: cooldown or schedule")
            del watched.waiting[key]
        return events

    def _started(self, watched: _Watched, event: Event, change: Change) -> list[Event]:
        if change.instant:
            return [event, self._end(watched, event, event.stamp_ns, event.detail)]
        watched.lasting[change.key] = event
        return [event]

    def _end(self, watched: _Watched, event: Event, stamp_ns: int, detail: str) -> Event:
        watched.free_ns = stamp_ns + round(watched.rule.cooldown * SECOND)
        return replace(event, state=END, stamp_ns=stamp_ns, detail=detail or event.detail)

    def _event(
        self, camera: str, frame_id: str, rule: EventRule, change: Change, one: Object | None, stamp_ns: int
    ) -> Event:
        event = Event(
            id=self._make_id(rule.name, stamp_ns),
            state=BEGIN,
            camera=camera,
            rule=rule.name,
            kind=rule.kind,
            start_ns=stamp_ns,
            stamp_ns=stamp_ns,
            frame_id=frame_id,
            zone=rule.zone,
            label="|".join(sorted(rule.labels)) or ANY,
            track_id=change.key,
            detail=change.detail,
        )
        return event if one is None else _with(event, one)


def _is_valid(one: Detection) -> bool:
    x1, y1, x2, y2 = one.box
    return all(abs(edge) < _FAR for edge in one.box) and x2 >= x1 and y2 >= y1 and 0 <= one.score <= 1


def _with(event: Event, one: Object) -> Event:
    return replace(event, label=one.label, score=one.score, box=one.box)
