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

"""Draws boxes and labels into an image."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgecam_core.types import Detection, Detections

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN = 0.618034  # steps of the golden ratio give consecutive classes different hues


def class_color(class_id: int) -> tuple[int, int, int]:
    """The BGR colour of a class, the same in every image."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN % 1.0, 0.75, 0.95)
    return round(blue * 255), round(green * 255), round(red * 255)


@dataclass(frozen=True)
class Label:
    """A text and the rectangle behind it, in pixels."""

    text: str
    left: int
    top: int
    width: int
    height: int

    def overlaps(self, other: Label) -> bool:
        apart = self.left >= other.left + other.width or other.left >= self.left + self.width
        return not (apart or self.top >= other.top + other.height or other.top >= self.top + self.height)


def draw(bgr: np.ndarray, detections: Detections) -> np.ndarray:
    """Draw every detection, the best on top, into ``bgr`` ((H, W, 3) uint8, writable) and return it.

    Labels do not overlap if there is room, so that two labels of one object are both readable.
    """
    line = max(1, round(min(bgr.shape[:2]) / 240))
    items = list(detections)
    for detection in reversed(items):
        x1, y1, x2, y2 = _corners(detection)
        cv2.rectangle(bgr, (x1, y1), (x2, y2), class_color(detection.class_id), line)
    labels = place_labels(items, bgr.shape[1], bgr.shape[0], line)
    for detection, label in reversed(list(zip(items, labels, strict=True))):
        _draw_label(bgr, label, class_color(detection.class_id), line)
    return bgr


def place_labels(detections: list[Detection], width: int, height: int, line: int = 1) -> list[Label]:
    """The label of each detection, placed in an image of that size; the best detections are placed first."""
    placed: list[Label] = []
    for detection in detections:
        label = _label(detection, width, line)
        places = [replace(label, top=top) for top in _tops(detection, label, line)]
        inside = [one for one in places if 0 <= one.top <= max(0, height - one.height)] or places[-1:]
        free = (one for one in inside if not any(one.overlaps(other) for other in placed))
        placed.append(next(free, inside[0]))
    return placed


def _label(detection: Detection, width: int, line: int) -> Label:
    track = f" #{detection.track_id}" if detection.track_id else ""
    text = f"{detection.label} {detection.score:.2f}{track}"
    (wide, high), base = cv2.getTextSize(text, _FONT, _scale(line), max(1, line // 2))
    left = max(0, min(_corners(detection)[0], width - wide))
    return Label(text, left, 0, wide, high + base)


def _tops(detection: Detection, label: Label, line: int) -> Iterator[int]:
    """Top edges to try: above the box, inside its top, below it, then down its left edge."""
    _, y1, _, y2 = _corners(detection)
    yield y1 - label.height - line
    yield y1
    yield y2 + line
    for row in range(1, max(1, (y2 - y1) // label.height)):
        yield y1 + row * label.height
    yield y1


def _scale(line: int) -> float:
    return 0.4 * max(1.0, line * 0.75)


def _corners(detection: Detection) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(value) for value in detection.box)
    return x1, y1, x2, y2


def _draw_label(bgr: np.ndarray, label: Label, color: tuple[int, int, int], line: int) -> None:
    right, bottom = label.left + label.width, label.top + label.height
    cv2.rectangle(bgr, (label.left, label.top), (right, bottom), color, cv2.FILLED)
    ink = (0, 0, 0) if sum(color) > 380 else (255, 255, 255)
    thickness = max(1, line // 2)
    (_, high), _ = cv2.getTextSize(label.text, _FONT, _scale(line), thickness)
    cv2.putText(bgr, label.text, (label.left, label.top + high), _FONT, _scale(line), ink, thickness, cv2.LINE_AA)
