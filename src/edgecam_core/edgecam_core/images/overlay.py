"""Boxes and labels drawn into an image."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from edgecam_core.types import Detection, Detections

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GOLDEN = 0.618034  # steps of the golden ratio keep neighbouring class numbers apart in hue


def class_color(class_id: int) -> tuple[int, int, int]:
    """The BGR colour of a class, the same in every image."""
    red, green, blue = colorsys.hsv_to_rgb(class_id * _GOLDEN % 1.0, 0.75, 0.95)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw(bgr: np.ndarray, detections: Detections) -> np.ndarray:
    """Draw every detection, the best on top; changes ``bgr`` ((H, W, 3) uint8, writable) and gives it back."""
    line = max(1, round(min(bgr.shape[:2]) / 240))
    for detection in reversed(list(detections)):
        _draw_one(bgr, detection, line)
    return bgr


def _draw_one(bgr: np.ndarray, detection: Detection, line: int) -> None:
    x1, y1, x2, y2 = (round(value) for value in detection.box)
    color = class_color(detection.class_id)
    cv2.rectangle(bgr, (x1, y1), (x2, y2), color, line)
    track = f" #{detection.track_id}" if detection.track_id else ""
    text = f"{detection.label} {detection.score:.2f}{track}"
    scale = 0.4 * max(1.0, line * 0.75)
    (width, height), base = cv2.getTextSize(text, _FONT, scale, max(1, line // 2))
    left = max(0, min(x1, bgr.shape[1] - width))
    top = y1 - height - base - line if y1 - height - base - line >= 0 else y1  # inside where there is no room above
    cv2.rectangle(bgr, (left, top), (left + width, top + height + base), color, cv2.FILLED)
    ink = (0, 0, 0) if sum(color) > 380 else (255, 255, 255)
    cv2.putText(bgr, text, (left, top + height), _FONT, scale, ink, max(1, line // 2), cv2.LINE_AA)
