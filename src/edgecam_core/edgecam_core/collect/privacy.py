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

"""Blurs faces and objects before an image is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edgecam_core.errors import MissingDependency
from edgecam_core.types import Detection

FACES = "faces"
_CASCADE = "haarcascade_frontalface_default.xml"
_MARGIN = 0.1  # added to each side, as a fraction of the box size: boxes are rarely exact


def blurred(pixels: np.ndarray, detections: Iterable[Detection], targets: Sequence[str]) -> np.ndarray:
    """A copy of (H, W, 3) uint8 BGR pixels with faces and objects made unrecognisable.

    Faces are found by OpenCV's frontal-face cascade, which misses some; objects are those found by the detector.

    Args:
        targets: FACES, and labels of detections.

    Raises:
        MissingDependency: this OpenCV has no cascade files.
    """
    boxes = [detection.box for detection in detections if detection.label in targets]
    if FACES in targets:
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        boxes += [(x, y, x + w, y + h) for x, y, w, h in _cascade().detectMultiScale(grey, 1.1, 3, minSize=(16, 16))]
    out = pixels.copy()
    for box in boxes:
        _blur(out, box)
    return out


def _blur(pixels: np.ndarray, box: tuple[float, float, float, float]) -> None:
    height, width = pixels.shape[:2]
    margin_x, margin_y = (box[2] - box[0]) * _MARGIN, (box[3] - box[1]) * _MARGIN
    x1, x2 = (int(np.clip(x, 0, width)) for x in (box[0] - margin_x, box[2] + margin_x))
    y1, y2 = (int(np.clip(y, 0, height)) for y in (box[1] - margin_y, box[3] + margin_y))
    if x2 <= x1 or y2 <= y1:
        return
    # Reduced to eight pixels across: a blur that only smooths could be reversed.
    small = cv2.resize(pixels[y1:y2, x1:x2], (min(8, x2 - x1), min(8, y2 - y1)), interpolation=cv2.INTER_AREA)
    pixels[y1:y2, x1:x2] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)


@cache
def _cascade() -> cv2.CascadeClassifier:
    folders = [Path(getattr(cv2, "data", None).haarcascades)] if hasattr(cv2, "data") else []  # type: ignore[union-attr]
    for folder in (*folders, Path("/usr/share/opencv4/haarcascades")):
        if (folder / _CASCADE).is_file():
            return cv2.CascadeClassifier(str(folder / _CASCADE))
    raise MissingDependency(f"OpenCV's {_CASCADE}", "apt install opencv-data, or remove 'faces' from blur")
