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

"""One event as the engine reports it."""

from __future__ import annotations

from dataclasses import dataclass

BEGIN, END = "begin", "end"
BETTER = "better"  # a higher score than before; not published


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The begin or the end of an event, or a better look at its object; all have the same ``id``, which can be a file
    name.

    ``zone`` is the zone or line, empty where the rule has none. ``label``: the class of the object, or what the rule
    asks for. ``track_id`` is empty where the event is not about one object; then ``box`` is None and ``score`` 0.
    ``box`` is (x1, y1, x2, y2) in pixels of the frame. ``detail``: the direction of crosses, the number of objects of
    count. ``start_ns`` is the stamp of the frame in which it began, ``stamp_ns`` that of this frame.
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
        """Where the snapshot is, or will be, below the events' folder."""
        return f"snapshots/{self.id}.jpg"
