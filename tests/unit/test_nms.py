from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.models.nms import nms, overlaps


def test_overlap_of_known_boxes() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 10, 20, 20], [3, 3, 3, 3], [20, 20, 10, 10]], np.float32)
    assert overlaps(box, others) == pytest.approx([1, 1 / 3, 0, 0, 0])


def slow_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float) -> list[int]:
    """The definition, one pair at a time."""
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        x1, y1, x2, y2 = boxes[index].tolist()
        for other in kept:
            if classes[other] != classes[index]:
                continue
            a1, b1, a2, b2 = boxes[other].tolist()
            shared = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            if shared / ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - shared) > threshold:
                break
        else:
            kept.append(index)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 80, (200, 2))
    boxes = np.hstack([low, low + random.uniform(5, 40, (200, 2))])
    scores, classes = random.choice(np.linspace(0.1, 1, 50), 200), random.integers(0, 3, 200)
    assert nms(boxes, scores, classes, 0.4, 1000).tolist() == slow_nms(boxes, scores, classes, 0.4)
    assert nms(boxes, scores, classes, 0.4, 7).tolist() == slow_nms(boxes, scores, classes, 0.4)[:7]


def test_no_boxes() -> None:
    assert nms(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 0.5, 10).tolist() == []
