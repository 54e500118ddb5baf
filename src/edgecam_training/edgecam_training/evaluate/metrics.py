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

"""Average precision, in NumPy: Pascal VOC at IoU 0.5 and COCO's mean over IoU 0.50 to 0.95.

VOC: area under the precision envelope (VOC 2010 on) and the 11-point mean of VOC 2007. Difficult boxes count neither as
misses nor as false alarms, nor do detections half inside a crowd. COCO: 101 points, 10 thresholds, at most 100
detections per image; a crowd box matches any number of detections, by the share of the detection that it covers. A
class without boxes has no AP: NaN here, "no data" in tables, not included in means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_MOST = 100  # detections per image


@dataclass(frozen=True)
class Found:
    """Detections in one image: (N, 4) corners in pixels, (N,) scores, (N,) classes from 0, best first."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class GroundTruth:
    """The annotations of one image: (M, 4), (M,), (M,) bool.

    ``crowd`` marks the difficult ones that are regions of many objects; None if there are none.
    """

    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray | None = None


@dataclass(frozen=True)
class Curve:
    """Precision over recall of one class at IoU 0.5, by descending score."""

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Scores:
    """All in 0..1, NaN without data; arrays are per class. ``boxes`` is the number of annotated boxes that count."""

    voc: np.ndarray
    voc07: np.ndarray
    coco: np.ndarray
    coco50: np.ndarray
    boxes: np.ndarray
    curves: tuple[Curve, ...]

    @property
    def map50(self) -> float:
        """Mean VOC AP at IoU 0.5 (area)."""
        return mean(self.voc)

    @property
    def map(self) -> float:
        """COCO's mAP at 0.50:0.95."""
        return mean(self.coco)


def mean(values: np.ndarray) -> float:
    """The mean over classes with data; NaN if there are none."""
    real = values[~np.isnan(values)]
    return float(real.mean()) if len(real) else float("nan")


def score(found: Sequence[Found], truth: Sequence[GroundTruth], classes: int) -> Scores:
    """Score a data set; ``found[i]`` and ``truth[i]`` belong to the same image."""
    tables = [_match_class(found, truth, number) for number in range(classes)]
    asked = np.array([table.asked for table in tables])
    curves = tuple(_curve(table, table.voc_hit, table.voc_ignored) for table in tables)
    voc = np.array([_area(curve) if table.asked else np.nan for curve, table in zip(curves, tables, strict=True)])
    voc07 = np.array(
        [
            _points(curve, np.linspace(0, 1, 11)) if table.asked else np.nan
            for curve, table in zip(curves, tables, strict=True)
        ]
    )
    coco = np.array([_coco_ap(table) for table in tables]).reshape(classes, len(COCO_THRESHOLDS))
    return Scores(voc, voc07, coco.mean(axis=1), coco[:, 0], asked, curves)


@dataclass(frozen=True)
class _Table:
    """All detections of a class, best first: which hit and which are ignored, by VOC (N,) and by COCO (T, N)."""

    scores: np.ndarray
    voc_hit: np.ndarray
    voc_ignored: np.ndarray
    coco_hit: np.ndarray
    coco_ignored: np.ndarray
    asked: int


def _match_class(found: Sequence[Found], truth: Sequence[GroundTruth], number: int) -> _Table:
    scores, voc, coco, asked = [], [], [], 0
    for seen, real in zip(found, truth, strict=True):
        mine = real.classes == number
        difficult = real.difficult[mine]
        asked += int((~difficult).sum())
        chosen = np.flatnonzero(seen.classes == number)
        chosen = chosen[np.argsort(-seen.scores[chosen], kind="stable")][:_MOST]
        if len(chosen):
            iou, covered = overlaps(seen.boxes[chosen], real.boxes[mine])
            scores.append(seen.scores[chosen])
            crowd = difficult & real.crowd[mine] if real.crowd is not None else np.zeros_like(difficult)
            voc.append(_match_voc(iou, covered, difficult, crowd))
            coco.append(_match_coco(np.where(difficult, covered, iou), difficult))
    if not scores:
        none = np.zeros(0, bool)
        many = np.zeros((len(COCO_THRESHOLDS), 0), bool)
        return _Table(np.zeros(0), none, none, many, many, asked)
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    voc_hit, voc_ignored = (np.concatenate([pair[i] for pair in voc])[order] for i in (0, 1))
    coco_hit, coco_ignored = (np.concatenate([pair[i] for pair in coco], axis=1)[:, order] for i in (0, 1))
    return _Table(joined[order], voc_hit, voc_ignored, coco_hit, coco_ignored, asked)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, M) intersection over union, and the share of the first box that the second covers."""
    boxes, others = boxes.astype(np.float64), others.astype(np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area, other = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, others))
    union = area[:, None] + other[None] - shared
    return shared / np.maximum(union, 1e-12), shared / np.maximum(area[:, None], 1e-12)


def _match_voc(
    iou: np.ndarray, covered: np.ndarray, difficult: np.ndarray, crowd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Match each detection with the box it overlaps most, and only with that; half in a crowd it is ignored."""
    hit, ignored = np.zeros(len(iou), bool), np.zeros(len(iou), bool)
    taken = np.zeros(len(difficult), bool)
    for row in range(len(iou) if len(difficult) else 0):
        best = int(iou[row].argmax())
        if iou[row, best] >= 0.5 and not difficult[best] and not taken[best]:
            taken[best] = hit[row] = True
        else:
            ignored[row] = (iou[row, best] >= 0.5 and difficult[best]) or (covered[row] * crowd).max() >= 0.5
    return hit, ignored


def _match_coco(iou: np.ndarray, crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At every threshold, match each detection with the best unmatched box, or with a crowd if there is none."""
    levels = len(COCO_THRESHOLDS)
    hit, ignored = np.zeros((levels, len(iou)), bool), np.zeros((levels, len(iou)), bool)
    if not len(crowd):
        return hit, ignored
    taken = np.zeros((levels, len(crowd)), bool)
    least = np.minimum(COCO_THRESHOLDS, 1 - 1e-10)
    every = np.arange(levels)
    for row, overlap in enumerate(iou):
        free = np.where(taken | crowd, -1.0, overlap)
        # as in pycocotools, the last of several equal overlaps wins
        best = len(crowd) - 1 - free[:, ::-1].argmax(axis=1)
        good = free[every, best] >= least
        hit[good, row] = True
        taken[every[good], best[good]] = True
        if crowd.any():
            ignored[:, row] = ~good & (overlap[crowd].max() >= least)
    return hit, ignored


def _curve(table: _Table, hit: np.ndarray, ignored: np.ndarray) -> Curve:
    counts = ~ignored
    true = np.cumsum(hit[counts])
    every = np.arange(1, len(true) + 1)
    return Curve(true / max(table.asked, 1), true / every, table.scores[counts])


def _area(curve: Curve) -> float:
    """Area under the envelope of precision."""
    recall = np.concatenate([[0.0], curve.recall, [1.0]])
    precision = np.concatenate([[0.0], curve.precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(((recall[1:] - recall[:-1]) * envelope[1:]).sum())


def _points(curve: Curve, at: np.ndarray) -> float:
    """Mean of the envelope's precision at these recalls."""
    if not len(curve.recall):
        return 0.0
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    place = np.searchsorted(curve.recall, at, side="left")
    return float(np.where(place < len(envelope), envelope[np.minimum(place, len(envelope) - 1)], 0.0).mean())


def _coco_ap(table: _Table) -> list[float]:
    if not table.asked:
        return [float("nan")] * len(COCO_THRESHOLDS)
    levels = zip(table.coco_hit, table.coco_ignored, strict=True)
    return [_points(_curve(table, hit, ignored), np.linspace(0, 1, 101)) for hit, ignored in levels]
