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

"""The objects in one camera's frames with stable ids: those of the detector's tracker, or of our own tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecam_core.models.nms import overlaps
from edgecam_core.models.tracker import Tracker
from edgecam_core.types import Detection, Detections

_SAME = 0.5  # least intersection over union of a new track and the lost object that it continues
_UNNUMBERED = 3  # frames with detections but no track id, after which the detector is taken to have no tracker


@dataclass(frozen=True, slots=True)
class Object:
    """One object in one frame. ``box`` is (x1, y1, x2, y2) in pixels; the points are fractions of the image."""

    track_id: str
    label: str
    score: float
    box: tuple[float, float, float, float]
    center: tuple[float, float]
    bottom: tuple[float, float]

    def point(self, name: str) -> tuple[float, float]:
        """The point ``center`` or ``bottom``."""
        return self.bottom if name == "bottom" else self.center


@dataclass(slots=True)
class _Known:
    track_id: str
    label: str
    box: np.ndarray
    seen_ns: int


class Identities:
    """Gives every object of one camera an id that it keeps even if the tracker loses it for a moment.

    Detections without a track id are skipped while others have one: the detector's tracker has not confirmed them. If
    no detection has one, our own tracker numbers them; ``tracked`` is then False.
    """

    def __init__(self) -> None:
        self.tracked = True
        self._tracker: Tracker | None = None
        self._unnumbered = 0
        self._numbered_ns: int | None = None
        self._known: dict[str, _Known] = {}
        self._labels: dict[str, int] = {}

    def update(
        self, found: Sequence[Detection], size: tuple[int, int], stamp_ns: int, lost_ns: int, patience_ns: int
    ) -> list[Object]:
        """The objects of the next frame.

        Args:
            size: width and height of the frame.
            lost_ns: an object unseen for longer gets a new id when it returns.
            patience_ns: time without any track id after which the detector is taken to have no tracker.
        """
        numbered = [one for one in self._numbered(found, stamp_ns, patience_ns) if one.track_id]
        here = {one.track_id for one in numbered}
        for name, known in list(self._known.items()):
            if stamp_ns - known.seen_ns > lost_ns:
                del self._known[name]
        taken = {self._known[name].track_id for name in here if name in self._known}
        objects = []
        for one in numbered:
            known = self._known.get(one.track_id) or self._continued(one, taken)
            taken.add(known.track_id)
            known.box, known.seen_ns = np.array(one.box), stamp_ns
            self._known[one.track_id] = known
            objects.append(_object(one, known.track_id, size))
        return objects

    def _numbered(self, found: Sequence[Detection], stamp_ns: int, patience_ns: int) -> Sequence[Detection]:
        if any(one.track_id for one in found):
            self._numbered_ns, self._unnumbered = stamp_ns, 0
            self.tracked, self._tracker = True, None
            return found
        if found and (self._numbered_ns is None or stamp_ns - self._numbered_ns > patience_ns):
            self._unnumbered += 1
        if self._unnumbered < _UNNUMBERED:
            return found
        self.tracked = False
        self._tracker = self._tracker or Tracker()
        numbered = self._tracker.update(self._arrays(found), np.ones(len(found), bool), stamp_ns)
        return [replace(one, track_id=f"{one.track_id}*" if one.track_id else "") for one in numbered]

    def _arrays(self, found: Sequence[Detection]) -> Detections:
        numbers = [self._labels.setdefault(one.label, len(self._labels)) for one in found]
        return Detections(
            np.array([one.box for one in found], np.float32).reshape(-1, 4),
            np.array([one.score for one in found], np.float32),
            np.array(numbers, np.int32),
            tuple(self._labels),
        )

    def _continued(self, one: Detection, taken: set[str]) -> _Known:
        """The object that a new track continues: a lost one of its class at the same place, else a new object."""
        box = np.array(one.box)
        lost = [known for known in self._known.values() if known.label == one.label and known.track_id not in taken]
        if lost:
            ious = overlaps(box, np.array([known.box for known in lost]))
            best = int(ious.argmax())
            if ious[best] >= _SAME:
                return lost[best]
        return _Known(one.track_id, one.label, box, 0)


def _object(one: Detection, track_id: str, size: tuple[int, int]) -> Object:
    (x1, y1, x2, y2), (width, height) = one.box, size
    x, y, bottom = (x1 + x2) / (2 * width), (y1 + y2) / (2 * height), y2 / height
    return Object(track_id, one.label, one.score, one.box, (x, y), (x, min(bottom, 1.0)))
