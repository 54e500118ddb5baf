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

"""The rules that decide which frames are worth keeping. Each rule is a small class with its own state per camera."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from edgecam_core.collect.observation import Observation, RuleMatch
from edgecam_core.models.agreement import compare
from edgecam_core.types import Detection

if TYPE_CHECKING:
    from edgecam_core.collect.settings import CollectorSettings

SECOND = 1_000_000_000


class CollectionRule(ABC):
    """Examines every observation of every camera, in order of arrival. ``worth`` (0 to 1) ranks the rules."""

    name: str
    worth: float
    text: str

    def __init__(self, settings: CollectorSettings) -> None:
        self.settings = settings

    @abstractmethod
    def examine(self, observation: Observation) -> RuleMatch | None:
        """A reason to keep this frame or a recent one; None if there is none."""


class Uncertain(CollectionRule):
    """Value: the score closest to the middle of the band."""

    name, worth, text = "uncertain", 0.6, "a score within the band"

    def examine(self, observation: Observation) -> RuleMatch | None:
        low, high = self.settings.uncertain_low, self.settings.uncertain_high
        scores = [one.score for one in observation.detections if low <= one.score <= high]
        if not scores:
            return None
        return RuleMatch(self.name, min(scores, key=lambda score: abs(score - (low + high) / 2)), observation)


class Flicker(CollectionRule):
    """A track that is lost and found again, or whose label changes; needs the detector's ``track``.

    After a gap, the first frame without the track is kept: the detector most likely missed the object in it. Value: the
    length of the gap in seconds, 0 for a changed label.
    """

    name, worth, text = "flicker", 0.8, "a track lost and found, or a label that changes within a track"

    def __init__(self, settings: CollectorSettings) -> None:
        super().__init__(settings)
        self._tracks: dict[str, dict[str, tuple[str, int]]] = {}  # by camera and track: label, last stamp
        self._gap: dict[str, Observation] = {}  # by camera: the first frame of the newest gap
        self._previous: dict[str, int] = {}

    def examine(self, observation: Observation) -> RuleMatch | None:
        camera, now = observation.camera, observation.stamp_ns
        previous = self._previous.get(camera, now)
        tracks = self._tracks.setdefault(camera, {})
        if now < previous:  # the camera's time restarted
            tracks.clear()
        self._previous[camera] = now
        present = {one.track_id: one for one in observation.detections if one.track_id}
        limit = self.settings.flicker_seconds * SECOND
        for track in [name for name, (_, last) in tracks.items() if now - last > limit]:
            del tracks[track]
        match = self._changed(observation, present, tracks, previous)
        if any(last == previous and name not in present for name, (_, last) in tracks.items()):
            self._gap[camera] = observation
        tracks.update({name: (one.label, now) for name, one in present.items()})
        return match

    def _changed(
        self, observation: Observation, present: dict[str, Detection], tracks: dict[str, tuple[str, int]], previous: int
    ) -> RuleMatch | None:
        for name, one in present.items():
            label, last = tracks.get(name, (one.label, previous))
            if label != one.label:
                return RuleMatch(self.name, 0.0, observation)
            gap = self._gap.get(observation.camera)
            if last < previous and gap is not None and last < gap.stamp_ns:
                del self._gap[observation.camera]
                return RuleMatch(self.name, (observation.stamp_ns - last) / SECOND, gap)
        return None


class Novel(CollectionRule):
    """Value: the number of bits in which the perceptual hash differs from the most similar kept frame of the camera."""

    name, worth, text = "novel", 0.4, "an image unlike all kept ones of the camera"

    def examine(self, observation: Observation) -> RuleMatch | None:
        if observation.distance is None or observation.distance < self.settings.novel_distance:
            return None
        return RuleMatch(self.name, float(observation.distance), observation)


class Disagree(CollectionRule):
    """Value: the number of objects that only one of the two models found."""

    name, worth, text = "disagree", 0.9, "the live model and the shadow model differ"

    def examine(self, observation: Observation) -> RuleMatch | None:
        if observation.shadow is None:
            return None
        unmatched = count_unmatched(observation.detections, observation.shadow)
        return RuleMatch(self.name, float(unmatched), observation) if unmatched else None


class OfClass(CollectionRule):
    """Value: the best score of a label in keep_classes."""

    name, worth, text = "class", 0.5, "one of the labels in keep_classes"

    def examine(self, observation: Observation) -> RuleMatch | None:
        scores = [one.score for one in observation.detections if one.label in self.settings.keep_classes]
        return RuleMatch(self.name, max(scores), observation) if scores else None


class Periodic(CollectionRule):
    """Value: seconds since this rule last kept a frame of the camera."""

    name, worth, text = "interval", 0.1, "the interval has elapsed"

    def __init__(self, settings: CollectorSettings) -> None:
        super().__init__(settings)
        self._last: dict[str, int] = {}

    def examine(self, observation: Observation) -> RuleMatch | None:
        last = self._last.setdefault(observation.camera, observation.stamp_ns)
        elapsed = (observation.stamp_ns - last) / SECOND
        if 0 <= elapsed < self.settings.interval:
            return None
        self._last[observation.camera] = observation.stamp_ns
        return RuleMatch(self.name, max(elapsed, 0.0), observation) if elapsed > 0 else None


RULES: dict[str, type[CollectionRule]] = {
    rule.name: rule for rule in (Uncertain, Flicker, Novel, Disagree, OfClass, Periodic)
}
REQUEST = "request"
WORTH = {REQUEST: 1.0, **{name: rule.worth for name, rule in RULES.items()}}


def count_unmatched(live: tuple[Detection, ...], shadow: tuple[Detection, ...]) -> int:
    """Number of objects that only one of the two models found (see :func:`edgecam_core.models.agreement.compare`)."""
    _, live_only, shadow_only = compare(live, shadow)
    return live_only.total() + shadow_only.total()
