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

"""Compares two models on the same images: objects found by both or by one only, and images in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import EdgecamError, ImageError
from edgecam_core.images.inputs import InputImage
from edgecam_core.images.overlay import draw
from edgecam_core.models.agreement import compare
from edgecam_core.models.detector import Detector
from edgecam_core.types import Detections, Frame

_BAR = 28  # pixels above each half of a drawn disagreement
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass
class Comparison:
    """Counts of objects by label in all images; ``differing`` counts images in which the models differ."""

    images: int = 0
    differing: int = 0
    bad: int = 0
    both: Counter[str] = field(default_factory=Counter)
    first_only: Counter[str] = field(default_factory=Counter)
    second_only: Counter[str] = field(default_factory=Counter)

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Rows of label and objects found by both, by the first only, by the second only; the last row is the total."""
        labels = sorted({*self.both, *self.first_only, *self.second_only})
        counts = (self.both, self.first_only, self.second_only)
        rows = [(label, *(one[label] for one in counts)) for label in labels]
        return [*rows, ("all", *(one.total() for one in counts))]  # type: ignore[list-item]  # three counts each


@dataclass(frozen=True)
class Disagreement:
    """One image in which the models differ."""

    item: InputImage
    frame: Frame
    first: Detections
    second: Detections


def disagreements(
    images: Iterable[InputImage], first: Detector, second: Detector, counts: Comparison
) -> Iterator[Disagreement]:
    """Run both models on every image; yields the images in which they differ and updates ``counts``.

    Two boxes with the same label are the same object if their intersection over union is at least 0.5. Unreadable
    images count as bad.
    """
    for item in images:
        if item.frame is None:
            counts.bad += 1
            continue
        try:
            found, other = first.detect(item.frame), second.detect(item.frame)
        except ImageError:
            counts.bad += 1
            continue
        both, first_only, second_only = compare(found, other)
        counts.images += 1
        counts.both += both
        counts.first_only += first_only
        counts.second_only += second_only
        if first_only or second_only:
            counts.differing += 1
            yield Disagreement(item, item.frame, found, other)


def write(path: Path, one: Disagreement, names: tuple[str, str]) -> None:
    """Write :func:`side_by_side` to an image file.

    Raises:
        EdgecamError: the file cannot be written.
    """
    if not cv2.imwrite(str(path), side_by_side(one, names)):
        raise EdgecamError(f"cannot write {path}: the folder is not writable or the disk is full")


def side_by_side(one: Disagreement, names: tuple[str, str]) -> np.ndarray:
    """The boxes of both models side by side, each half under the model's name: (H, 2 W, 3) uint8 bgr8."""
    halves = []
    for name, found in zip(names, (one.first, one.second), strict=True):
        drawn = draw(one.frame.bgr().copy(), found)
        bar = np.full((_BAR, drawn.shape[1], 3), 32, np.uint8)
        cv2.putText(bar, f"{name}: {len(found)}", (6, _BAR - 9), _FONT, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        halves.append(np.vstack([bar, drawn]))
    return np.hstack(halves)
