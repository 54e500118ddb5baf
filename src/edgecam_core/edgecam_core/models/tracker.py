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

"""Multi-object tracking after ByteTrack (Zhang et al., ECCV 2022).

Tracks are paired with high-score detections first, the remaining tracks with low-score ones: a partly occluded object
keeps its track. Only high-score detections start new tracks. A constant-velocity Kalman filter per box coordinate
predicts the position of each track; it runs on capture times, so dropped frames do no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np

from edgecam_core.models.assignment import assign
from edgecam_core.models.nms import overlaps
from edgecam_core.models.priors import to_centres, to_corners
from edgecam_core.types import Detections

_FIRST_OVERLAP, _SECOND_OVERLAP = 0.2, 0.5  # least intersection over union of a pair
_CONFIRM = 2  # detections before a track gets a number; in the first image one is enough
# Standard deviations relative to the box height: ByteTrack's, converted from frames at 30 Hz to seconds.
_POSITION, _SPEED, _ACCELERATION = 1 / 20, 30 / 160, 30 / 20
_DEFAULT_STEP = 1 / 30  # seconds between images without a capture time


@dataclass
class _Track:
    """One track: box, its rate of change and their covariances, as a Kalman filter for each of cx, cy, w, h."""

    class_id: int
    state: np.ndarray  # (4,) cx cy w h in pixels
    speed: np.ndarray  # (4,) per second
    variance: np.ndarray  # (3, 4): variance of the state, covariance of state and speed, variance of the speed
    hits: int = 1
    unseen: float = 0.0
    number: str = ""

    def predict(self, step: float) -> None:
        self.state = self.state + self.speed * step
        position, covariance, speed = self.variance
        height = max(float(self.state[3]), 1.0)
        process_noise = (_POSITION * height) ** 2 * step / _DEFAULT_STEP
        self.variance = np.array(
            [
                position + 2 * step * covariance + step**2 * speed + process_noise,
                covariance + step * speed,
                speed + (_ACCELERATION * height) ** 2 * step,
            ]
        )
        self.unseen += step

    def correct(self, measured: np.ndarray) -> None:
        noise = (_POSITION * max(float(measured[3]), 1.0)) ** 2
        position, covariance, speed = self.variance
        gain, speed_gain = position / (position + noise), covariance / (position + noise)
        error = measured - self.state
        self.state, self.speed = self.state + gain * error, self.speed + speed_gain * error
        self.variance = np.array([(1 - gain) * position, (1 - gain) * covariance, speed - speed_gain * covariance])
        self.hits += 1
        self.unseen = 0.0

    def box(self) -> np.ndarray:
        """The box (4,) x1 y1 x2 y2."""
        return to_corners(self.state)


class Tracker:
    """Tracks the objects of one camera. Not thread-safe.

    Args:
        patience: seconds without a detection after which a track ends; must exceed the time between two images.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience
        self._numbers = count(1)
        self._tracks: list[_Track] = []
        self._stamp_ns: int | None = None

    def update(self, found: Detections, confident: np.ndarray, stamp_ns: int = 0) -> Detections:
        """Assign track numbers to the detections of the next image.

        Args:
            found: all detections, including those with low scores.
            confident: (N,) bool: which of them have a high score and can start a track.
            stamp_ns: capture time, 0 if unknown; a time before the previous one (a clip starts again) ends all tracks.

        Returns:
            The high-score detections and the low-score ones that continue a track, in the given order. A track number
            is empty until the track is confirmed by a second detection.
        """
        first = not self._tracks and self._stamp_ns is None
        self._advance(stamp_ns)
        # Before pairing: a pause without images counts as unseen time, too.
        self._tracks = [track for track in self._tracks if track.unseen <= self._patience]
        boxes = found.boxes.astype(np.float64)
        numbers = [""] * len(found)
        keep = confident.copy()
        unpaired = list(range(len(self._tracks)))
        high, low = np.flatnonzero(confident), np.flatnonzero(~confident)
        new = set(high.tolist())
        for indices, min_overlap in ((high, _FIRST_OVERLAP), (low, _SECOND_OVERLAP)):
            for index, detection in self._pair(unpaired, indices, boxes, found.class_ids, min_overlap):
                self._continue(self._tracks[index], boxes[detection])
                numbers[detection], keep[detection] = self._tracks[index].number, True
                unpaired.remove(index)
                new.discard(detection)
        for detection in sorted(new):
            track = self._start(boxes[detection], int(found.class_ids[detection]))
            if first:
                track.number = numbers[detection] = str(next(self._numbers))
        # Unconfirmed tracks end with the first image without a detection.
        self._tracks = [track for track in self._tracks if track.number or track.unseen == 0]
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
        step = _DEFAULT_STEP if before is None or not stamp_ns else (stamp_ns - before) / 1e9
        if step < 0:
            self._tracks = []
            return
        for track in self._tracks:
            track.predict(step)

    def _pair(
        self, tracks: list[int], detections: np.ndarray, boxes: np.ndarray, classes: np.ndarray, min_overlap: float
    ) -> list[tuple[int, int]]:
        """Pairs (track index, detection index) of the same class with at least this intersection over union."""
        costs = np.full((len(tracks), len(detections)), 2.0)
        for row, index in enumerate(tracks):
            track = self._tracks[index]
            same = classes[detections] == track.class_id
            costs[row, same] = 1 - overlaps(track.box(), boxes[detections[same]])
        return [(tracks[row], int(detections[column])) for row, column in assign(costs, 1 - min_overlap)]

    def _continue(self, track: _Track, box: np.ndarray) -> None:
        track.correct(to_centres(box))
        if not track.number and track.hits >= _CONFIRM:
            track.number = str(next(self._numbers))

    def _start(self, box: np.ndarray, class_id: int) -> _Track:
        state = to_centres(box)
        height = max(float(state[3]), 1.0)
        spread, speed = (2 * _POSITION * height) ** 2, (10 * _SPEED * height) ** 2
        variance = np.array([np.full(4, spread), np.zeros(4), np.full(4, speed)])
        track = _Track(class_id, state, np.zeros(4), variance)
        self._tracks.append(track)
        return track
