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

"""The record of an event as reported by the engine."""

from __future__ import annotations

from dataclasses import dataclass

BEGIN, END = "begin", "end"
BETTER = "better"  # the object has a higher score than before; not published


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The begin or end of an event, or a better-scoring frame of it.

    All states of an event have the same ``id``, which is a valid file name. ``zone`` is the zone or line, empty if the
    rule has none. ``label`` is the class of the object, or the classes of the rule. ``track_id`` is empty if the event
    is not about one object; ``box`` is then None and ``score`` 0. ``box`` is (x1, y1, x2, y2) in pixels of the frame.
    ``detail`` is the direction of crosses and the number of objects of count. ``start_ns`` is the capture stamp of the
    frame in which the event began, ``stamp_ns`` that of this frame.
    """

    id: str
    state: str
    camera: str
    rule: str
    kind: str
    start_ns: int
    stamp_ns: int
    frame_id: str = ""
    zone: str = ""
    label: str = ""
    track_id: str = ""
    detail: str = ""
    score: float = 0.0
    box: tuple[float, float, float, float] | None = None

    @property
    def snapshot(self) -> str:
        """The path of the snapshot, relative to the events' folder; the file may not exist yet."""
        return f"snapshots/{self.id}.jpg"
