from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from edgecam_core.images.overlay import draw, place_labels
from edgecam_core.types import Detections

LABELS = ("truck", "car", "bus")


def found(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    return Detections(np.array(boxes, np.float32), scores, np.arange(count, dtype=np.int32) % 3, LABELS)


@pytest.mark.parametrize(
    "boxes",
    [
        [(100, 100, 300, 250), (101, 101, 300, 250)],  # one object, two classes
        [(100, 100, 300, 250)] * 5,
        [(0, 0, 320, 240), (0, 0, 318, 240), (2, 0, 320, 239)],  # no room above
        [(250, 200, 320, 240), (252, 200, 320, 240)],  # no room below or to the right
    ],
)
def test_labels_do_not_cover_each_other(boxes: list[tuple[float, float, float, float]]) -> None:
    labels = place_labels(list(found(*boxes)), 320, 300)
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    for label in labels:
        assert 0 <= label.left <= 320 - label.width
        assert 0 <= label.top <= 300 - label.height


def test_every_label_is_drawn() -> None:
    detections = found((100, 100, 300, 250), (101, 101, 300, 250))
    image = draw(np.zeros((300, 320, 3), np.uint8), detections)
    for label in place_labels(list(detections), 320, 300):
        patch = image[label.top : label.top + label.height, label.left : label.left + label.width]
        assert np.unique(patch.reshape(-1, 3), axis=0).shape[0] > 3  # background, text and antialiased pixels


def test_a_label_too_large_for_its_image_is_drawn_nevertheless() -> None:
    assert draw(np.zeros((6, 8, 3), np.uint8), found((0, 0, 8, 6))).any()
