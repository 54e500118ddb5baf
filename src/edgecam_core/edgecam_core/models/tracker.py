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

"""Follows objects from image to image, in the manner of ByteTrack (Zhang et al., ECCV 2022).

Sure detections are paired with the tracks first, doubtful ones with the tracks that are left: an object that is half
hidden for a moment keeps its number. Only sure detections start new tracks. A constant-velocity Kalman filter per box
coordinate says where a track should be now; it runs on capture times, so that dropped images do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

from edgecam_core.models.assignment import assign
from edgecam_core.models.nms import overlaps
from edgecam_core.types import Detections

_FIRST_OVERLAP, _SECOND_OVERLAP = 0.2, 0.5  # least intersection over union of a pair
_CONFIRM = 2  # images a track must be seen in before it gets a number; in the first image one is enough
# Standard deviations as a share of the box height, those of ByteTrack turned from frames at 30 Hz into seconds.
_POSITION, _SPEED, _SHAKE = 1 / 20, 30 / 160, 30 / 20
_USUAL_STEP = 1 / 30  # seconds, where the images have no capture time


@dataclass
class _Track:
    """Centre x, centre y, width, height in pixels, their speeds, and the covariance of each pair."""

    class_id: int
    state: np.ndarray
    speed: np.ndarray
    variance: np.ndarray  # (3, 4): of position, of both, of speed
    hits: int = 1
    unseen: float = 0.0
    number: str = ""

    def predict(self, step: float) -> None:
        self.state = self.state + self.speed * step
        position, both, speed = self.variance
        grown = max(float(self.state[3]), 1.0)
        self.variance = np.array(
            [
                position + 2 * step * both + step**2 * speed + (_POSITION * grown) ** 2 * step / _USUAL_STEP,
                both + step * speed,
                speed + (_SHAKE * grown) ** 2 * step,
            ]
        )
        self.unseen += step

    def correct(self, measured: np.ndarray) -> None:
        noise = (_POSITION * max(float(measured[3]), 1.0)) ** 2
        position, both, speed = self.variance
        gain, speed_gain = position / (position + noise), both / (position + noise)
        error = measured - self.state
        self.state, self.speed = self.state + gain * error, self.speed + speed_gain * error
        self.variance = np.array([(1 - gain) * position, (1 - gain) * both, speed - speed_gain * both])
        self.hits += 1
        self.unseen = 0.0

    def box(self) -> np.ndarray:
        half = self.state[2:] / 2
        return np.concatenate([self.state[:2] - half, self.state[:2] + half])


class Tracker:
    """Numbers for the objects of one camera. Not for two threads at a time.

    Args:
        patience: seconds a track may be unseen before it ends; more than the time between two images.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._numbers = count(1)
        self._tracks: list[_Track] = []
        self._stamp_ns: int | None = None

    def update(self, found: Detections, sure: np.ndarray, stamp_ns: int = 0) -> Detections:
        """Number what was found in the next image.

        Args:
            found: all detections, the doubtful ones included.
            sure: (N,) bool, which of them can start a track.
            stamp_ns: capture time; going backwards (a clip that starts again) ends all tracks.

        Returns:
            The sure detections and those doubtful ones that continue a track, in the order given. A track that was
            seen only once has an empty number yet.
        """
        first = not self._tracks and self._stamp_ns is None
        self._advance(stamp_ns)
        # Before pairing: after a pause without images a track has been unseen for as long as the pause was.
        self._tracks = [track for track in self._tracks if track.unseen <= self._patience]
        boxes = found.boxes.astype(np.float64)
        numbers = [""] * len(found)
        keep = sure.copy()
        free = list(range(len(self._tracks)))
        certain, doubtful = np.flatnonzero(sure), np.flatnonzero(~sure)
        new = set(certain.tolist())
        for which, least in ((certain, _FIRST_OVERLAP), (doubtful, _SECOND_OVERLAP)):
            for index, detection in self._pair(free, which, boxes, found.class_ids, least):
                self._hit(self._tracks[index], boxes[detection])
                numbers[detection], keep[detection] = self._tracks[index].number, True
                free.remove(index)
                new.discard(detection)
        for detection in sorted(new):
            begun = self._begin(boxes[detection], int(found.class_ids[detection]))
            if first:
                begun.number = numbers[detection] = str(next(self._numbers))
        self._tracks = [track for track in self._tracks if self._lives(track)]
        kept = np.flatnonzero(keep)
        return Detections(
            found.boxes[kept],
            found.scores[kept],
            found.class_ids[kept],
            found.labels,
            tuple(numbers[index] for index in kept.tolist()),
        )

    def _advance(self, stamp_ns: int) -> None:
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        step = _USUAL_STEP if before is None or not stamp_ns else (stamp_ns - before) / 1e9
        if step < 0:
            self._tracks = []
            return
        for track in self._tracks:
            track.predict(step)

    def _pair(
        self, free: list[int], which: np.ndarray, boxes: np.ndarray, classes: np.ndarray, least: float
    ) -> list[tuple[int, int]]:
        """Pairs (track, detection) of one class that overlap enough."""
        costs = np.full((len(free), len(which)), 2.0)
        for row, index in enumerate(free):
            track = self._tracks[index]
            same = classes[which] == track.class_id
            costs[row, same] = 1 - overlaps(track.box(), boxes[which[same]])
        return [(free[row], int(which[column])) for row, column in assign(costs, 1 - least)]

    def _hit(self, track: _Track, box: np.ndarray) -> None:
        track.correct(_measured(box))
        if not track.number and track.hits >= _CONFIRM:
            track.number = str(next(self._numbers))

    def _begin(self, box: np.ndarray, class_id: int) -> _Track:
        state = _measured(box)
        height = max(float(state[3]), 1.0)
        spread, speed = (2 * _POSITION * height) ** 2, (10 * _SPEED * height) ** 2
        variance = np.array([np.full(4, spread), np.zeros(4), np.full(4, speed)])
        track = _Track(class_id, state, np.zeros(4), variance)
        self._tracks.append(track)
        return track

    def _lives(self, track: _Track) -> bool:
        """Unconfirmed tracks end with the first image that does not show them."""
        return track.unseen == 0 or bool(track.number)


def _measured(box: np.ndarray) -> np.ndarray:
    return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
