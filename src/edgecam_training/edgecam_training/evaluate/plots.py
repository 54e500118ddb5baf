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

"""Images of an evaluation: precision-recall curves, and a contact sheet of the worst mistakes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgecam_training.data.checks import read_image
from edgecam_training.evaluate.evaluation import Evaluation
from edgecam_training.evaluate.metrics import overlaps

_TILE = (320, 240)
_COLUMNS = 4


def curves(result: Evaluation, path: Path) -> None:
    """Write precision over recall at IoU 0.5 as PNG, one line per class with data."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    for number, name in enumerate(result.classes):
        curve = result.scores.curves[number]
        if result.scores.boxes[number]:
            axes.plot(curve.recall, curve.precision, label=f"{name} {result.scores.voc[number]:.2f}")
    axes.legend(loc="lower left")
    axes.set_title("Precision and recall at IoU 0.5")
    figure.savefig(path, dpi=100)


def worst(result: Evaluation, path: Path, count: int = 12) -> int:
    """Write the images with the most confident false detections and missed boxes; returns their number.

    Green: annotated box; red: false detection; yellow: correct detection.
    """
    ranked = sorted(range(len(result.samples)), key=lambda index: -_badness(result, index))
    chosen = [index for index in ranked[:count] if _badness(result, index) > 0]
    if not chosen:
        return 0
    tiles = [_tile(result, index) for index in chosen]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows))
    return len(chosen)


def _hits(result: Evaluation, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Which detections hit a box of their class, and which boxes are hit by one above 0.3."""
    seen, sample = result.found[index], result.samples[index]
    if not len(seen.scores) or not len(sample.labels):
        return np.zeros(len(seen.scores), bool), np.zeros(len(sample.labels), bool)
    iou, _ = overlaps(seen.boxes, sample.boxes)
    good = (iou >= 0.5) & (seen.classes[:, None] == sample.labels[None])
    return good.any(axis=1), (good & (seen.scores > 0.3)[:, None]).any(axis=0)


def _badness(result: Evaluation, index: int) -> float:
    seen, sample = result.found[index], result.samples[index]
    hit, covered = _hits(result, index)
    false = seen.scores[~hit]
    return float(false[false > 0.3].sum() + (~covered & ~sample.difficult).sum())


def _tile(result: Evaluation, index: int) -> np.ndarray:
    seen, sample = result.found[index], result.samples[index]
    pixels = read_image(sample.path)
    assert pixels is not None  # it was read before
    scale = np.array([_TILE[0] / pixels.shape[1], _TILE[1] / pixels.shape[0]] * 2)
    tile = cv2.resize(pixels, _TILE, interpolation=cv2.INTER_AREA)
    for box in (sample.boxes * scale).astype(int).tolist():
        cv2.rectangle(tile, box[:2], box[2:], (0, 200, 0), 2)
    hit, _ = _hits(result, index)
    for row in np.flatnonzero(seen.scores > 0.3):
        box = (seen.boxes[row] * scale).astype(int).tolist()
        color = (0, 220, 255) if hit[row] else (0, 0, 255)
        cv2.rectangle(tile, box[:2], box[2:], color, 1)
        text = f"{result.classes[int(seen.classes[row])]} {seen.scores[row]:.2f}"
        cv2.putText(tile, text, (box[0] + 2, box[1] + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
    return tile
