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

"""The events node: applies the rules to detections, publishes the events and stores them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from edgecam_core.events.engine import EventEngine
from edgecam_core.events.event import BETTER, Event
from edgecam_core.events.keeper import Keeper
from edgecam_core.events.outputs import open_outputs
from edgecam_core.events.outputs.message import Outgoing
from edgecam_core.events.outputs.outbox import Outbox
from edgecam_core.types import Detection
from edgecam_ros.conversions import header_to_ros, stamp_from_ns
from edgecam_ros.diagnostics import ERROR, OK, WARN, Status
from edgecam_ros.main import run
from edgecam_ros.node import EdgecamNode
from edgecam_ros.qos import latched_qos
from vision_msgs.msg import BoundingBox2D, LabelInfo, Point2D, Pose2D

from edgecam_events.camera import EventsSubscriptions, video_type
from edgecam_events.settings import EventsNodeSettings
from edgecam_msgs.msg import Event as EventMessage

_DEPTH = 50


class EventsNode(EdgecamNode[EventsNodeSettings]):
    """Subscribes ``detections``, ``label_info``, ``camera_info``, ``image_raw/compressed`` and ``video``; publishes
    ``events``.
    """

    settings_type = EventsNodeSettings

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("events", **node_arguments)
        self._engine: EventEngine | None = None
        self._keeper: Keeper | None = None
        self._publisher: Any = None
        self._cameras: list[EventsSubscriptions] = []
        self._outputs: list[Outbox] = []
        self._label_info: Any = None
        self._labels: frozenset[str] = frozenset()  # of the detector; empty: unknown

    def open(self) -> None:
        self._keeper = Keeper(self.settings, lambda problem: self.faults.add("", problem))
        self._engine = EventEngine(self.settings)
        own = str(self.get_namespace()).rpartition("/")[2] or "camera"
        self._outputs = open_outputs(self.settings, self.settings.cameras or (own,))
        self._publisher = self.create_publisher(EventMessage, "events", _DEPTH)
        self._label_info = self.create_subscription(LabelInfo, "label_info", self._on_labels, latched_qos())

    def start(self) -> None:
        assert self._engine is not None
        assert self._keeper is not None
        settings = self.settings
        self._cameras = [
            EventsSubscriptions(
                self,
                name,
                self._process,
                self._keeper.frame,
                self._engine.counters,
                jpeg=settings.snapshots or settings.clip in ("auto", "jpeg"),
                video=settings.clip in ("auto", "video"),
            )
            for name in settings.cameras or ("",)
        ]

    def stop(self) -> None:
        for camera in self._cameras:
            camera.close()
        self._cameras = []
        if self._engine is not None:
            self._emit(self._engine.finish())

    def close(self) -> None:
        keeper, self._keeper, self._engine = self._keeper, None, None
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
            self._publisher = None
        if self._label_info is not None:
            self.destroy_subscription(self._label_info)
            self._label_info = None
        for output in self._outputs:
            output.close()
        self._outputs = []
        if keeper is not None:
            keeper.close()

    def apply(self, old: EventsNodeSettings, new: EventsNodeSettings) -> None:
        if self._engine is not None and self._keeper is not None:
            self._keeper.update(new)
            self._emit(self._engine.update(new))
            for output in self._outputs:
                output.update(new)

    def _on_labels(self, message: LabelInfo) -> None:
        self._labels = frozenset(one.class_name.casefold() for one in message.class_map)

    def _process(
        self, camera: str, stamp_ns: int, frame_id: str, size: tuple[int, int], found: list[Detection]
    ) -> None:
        if self._engine is not None:
            self._emit(self._engine.process(camera, stamp_ns, frame_id, size, found))

    def _emit(self, events: list[Event]) -> None:
        """Publish and store events. Publish first, so that the disk does not delay the message."""
        for event in events:
            if self._keeper is None:
                return
            if event.state != BETTER:
                snapshot = event.snapshot if self.settings.snapshots else ""
                outgoing = Outgoing(event, snapshot, self._keeper.footage.reference(event))
                self._publisher.publish(event_to_ros(outgoing))
                for output in self._outputs:
                    output.put(outgoing)
            self._keeper.event(event)

    def report(self) -> Status:
        engine, keeper = self._engine, self._keeper
        if engine is None or keeper is None:
            return Status(WARN, "closing")
        values: dict[str, object] = {
            "events": keeper.events,
            "lasting": engine.lasting,
            "megabytes": keeper.bytes / 1e6,
            "buffered_megabytes": keeper.footage.megabytes,
            "clips_from": ", ".join(keeper.footage.source(one.camera) or "nothing" for one in self._cameras),
            "directory": str(keeper.store.root),
            **engine.counters.totals(),
            **keeper.counters.totals(),
            **{f"{one.name}_sent": one.sent for one in self._outputs},
            **{f"{one.name}_waiting": one.waiting for one in self._outputs},
        }
        for output in self._outputs:
            values |= output.counters.totals()
        if keeper.problem is not None:
            return Status(ERROR, f"events are published, but not all are stored: {keeper.problem}", values)
        if warnings := "; ".join(self._warnings(engine)):
            return Status(WARN, warnings, values)
        if not self.settings.rules:
            return Status(OK, "no rules: set the parameter rules", values)
        return Status(OK, f"{keeper.events} events", values)

    def _warnings(self, engine: EventEngine) -> Iterator[str]:
        now, settings = time.monotonic(), self.settings
        for camera in self._cameras:
            if camera.detections.rate(now) == 0:
                yield f"no detections on {camera.detections_topic}"
            elif camera.size is None:
                yield f"the image size is unknown: no camera_info and nothing on {camera.image_topic}"
            if (settings.snapshots or settings.clip != "none") and camera.coded.rate(now) == 0:
                yield f"no image on {camera.image_topic}: events have no snapshot and no clip"
        if settings.clip == "video" and video_type() is None:
            yield "clip is video, but foxglove_msgs is not installed: events have no clip; set clip to jpeg"
        yield from (str(output.problem) for output in self._outputs if output.problem is not None)
        for rule in engine.rules if self._labels else ():
            if unknown := sorted(rule.labels - self._labels):
                near = get_close_matches(unknown[0], self._labels, n=3) or sorted(self._labels)[:3]
                yield f"rule '{rule.name}': the detector has no class '{unknown[0]}'; it has {', '.join(near)}"
        if engine.untracked:
            names = ", ".join(engine.untracked)
            yield f"detections of {names} have no track id and are tracked here; set track: true for the detector"


def event_to_ros(outgoing: Outgoing) -> EventMessage:
    """Convert the start or end of an event to a message."""
    event = outgoing.event
    x1, y1, x2, y2 = event.box or (0.0, 0.0, 0.0, 0.0)
    center = Pose2D(position=Point2D(x=(x1 + x2) / 2, y=(y1 + y2) / 2))
    return EventMessage(
        header=header_to_ros(event.stamp_ns, event.frame_id),
        id=event.id,
        state=event.state,
        camera=event.camera,
        rule=event.rule,
        kind=event.kind,
        zone=event.zone,
        label=event.label,
        track_id=event.track_id,
        detail=event.detail,
        score=event.score,
        bbox=BoundingBox2D(center=center, size_x=x2 - x1, size_y=y2 - y1),
        start=stamp_from_ns(event.start_ns),
        snapshot=outgoing.snapshot,
        clip=outgoing.clip,
    )


def main(args: list[str] | None = None) -> int:
    return run(EventsNode, args)


if __name__ == "__main__":
    sys.exit(main())
