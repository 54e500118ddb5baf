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

"""Detection filter: thresholds, classes and regions in the form that the decoders need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from edgecam_core.errors import SettingError
from edgecam_core.events.zones import Shape, parse_regions
from edgecam_core.models.detector_settings import DetectorSettings

_NEVER = 2.0  # a threshold that no score reaches


@dataclass(frozen=True)
class Selection:
    """The filter of one detector.

    ``thresholds`` is (columns,) float32, the score that a class must exceed; above 1 for a class that is not reported.
    ``candidates`` are the thresholds of the decoder: half of ``thresholds`` with tracking, where low scores continue
    tracks. ``agnostic``: suppress across classes. ``regions`` maps a camera (``""``: every camera) to its polygons.
    """

    thresholds: np.ndarray
    candidates: np.ndarray
    nms_threshold: float
    agnostic: bool
    max_detections: int
    regions: Mapping[str, tuple[Shape, ...]]

    @classmethod
    def make(cls, settings: DetectorSettings, labels: Sequence[str], has_background: bool) -> Selection:
        """The filter that the settings define for a model with these labels.

        Raises:
            SettingError: the model has no such class (the message lists similar ones), or a region is not a polygon.
        """
        first = int(has_background)
        classes = {class_number("classes", text, labels, first) for text in settings.classes}
        classes = classes or set(range(first, len(labels)))
        thresholds = np.full(len(labels), _NEVER, np.float32)
        thresholds[sorted(classes)] = settings.confidence_threshold
        for text in settings.class_thresholds:
            number, threshold = class_threshold(text, labels, first)
            if number in classes:
                thresholds[number] = threshold
        candidates = np.where(thresholds <= 1, thresholds / 2, _NEVER) if settings.track else thresholds
        return cls(
            thresholds,
            candidates.astype(np.float32),
            settings.nms_threshold,
            settings.agnostic_nms,
            settings.max_detections,
            parse_regions("regions", settings.regions),
        )

    def inside(self, boxes: np.ndarray, width: int, height: int, camera: str = "") -> np.ndarray:
        """(N,) bool: which boxes (N, 4) have their centre in a region; all of them if there is no region.

        Boxes are in pixels of an image of ``width`` x ``height``.
        """
        polygons = [*self.regions.get("", ()), *self.regions.get(camera, ())] if self.regions else []
        if not polygons:
            return np.ones(len(boxes), bool)
        centers = (boxes[:, :2] + boxes[:, 2:]) / (2 * np.array((width, height), np.float32))
        hits = [any(polygon.contains(x, y) for polygon in polygons) for x, y in centers.tolist()]
        return np.array(hits, bool)


def class_number(parameter: str, text: str, labels: Sequence[str], first: int = 0) -> int:
    """The number of a class given as a label (in any case) or as a number in text; the lowest is ``first``.

    Raises:
        SettingError: the model has no such class.
    """
    folded = [label.casefold() for label in labels]
    if text.casefold() in folded[first:]:
        return folded.index(text.casefold(), first)
    if text.isdecimal() and first <= int(text) < len(labels):
        return int(text)
    near = get_close_matches(text.casefold(), folded[first:], n=3)
    similar = ", ".join(repr(labels[folded.index(name, first)]) for name in near)
    known = similar or f"{first} to {len(labels) - 1} as numbers"
    raise SettingError(parameter, text, f"the model has no such class; it has {known}")


def class_threshold(text: str, labels: Sequence[str], first: int = 0) -> tuple[int, float]:
    """Parse ``"person=0.7"`` into class number and threshold.

    Raises:
        SettingError: not in this form, out of range, or no such class.
    """
    name, _, number = text.rpartition("=")
    try:
        threshold = float(number)
    except ValueError:
        threshold = -1.0
    if not name or not 0 <= threshold <= 1:
        raise SettingError("class_thresholds", text, "must be like 'person=0.7', with a threshold of 0 to 1")
    return class_number("class_thresholds", name.strip(), labels, first), threshold
