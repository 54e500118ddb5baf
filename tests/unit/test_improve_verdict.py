"""Both models are compared on the test frames; the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from edgecam_core.types import Detections
from edgecam_training.improve.judge import judge
from edgecam_training.improve.measure import false_alarms
from edgecam_training.improve.statistics import ConfidenceInterval, Hits, average_precision, compare, match
from field_frames import labelled


def test_the_verdict_needs_a_difference_above_zero_and_no_label_that_loses() -> None:
    clear, unclear = ConfidenceInterval(0.2, 0.05, 0.4), ConfidenceInterval(0.2, -0.01, 0.4)
    alarms = (0.0, 0.4), 0.5
    assert judge([], clear, {"dog": 0.8}, {"dog": 0.79}, 0.02, *alarms).passed
    assert not judge([], unclear, {}, {}, 0.02, *alarms).passed
    refused = judge([], clear, {"dog": 0.8, "cat": float("nan")}, {"dog": 0.7, "cat": 0.0}, 0.02, *alarms)
    assert not refused.passed
    assert "'dog' loses 10.0 points" in " ".join(refused.reasons)


def test_a_model_with_many_wrong_boxes_is_refused_however_good_its_average_precision_is() -> None:
    clear = ConfidenceInterval(0.3, 0.2, 0.4)
    refused = judge([], clear, {}, {}, 0.02, (0.0, 15.84), 0.5)
    assert not refused.passed
    assert "15.84 wrong boxes of the learned labels per image" in " ".join(refused.reasons)
    assert judge([], clear, {}, {}, 0.02, (1.0, 1.4), 0.5).passed  # the live model had most of them


def test_average_precision_by_hand() -> None:
    truth = [labelled(0, "cat"), labelled(1, "cat")]
    box = (0.0, 0.0, 10.0, 10.0)
    found = [[("cat", 0.9, box), ("cat", 0.8, box)], [("cat", 0.7, box)]]
    hits = match(found, truth, "cat")
    assert hits.hit.tolist() == [True, False, True]
    assert average_precision(hits, np.array([1, 1])) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision(hits, np.array([2, 0])) == pytest.approx(1.0)
    assert np.isnan(average_precision(hits, np.array([0, 0])))


def test_wrong_boxes_of_the_learned_labels_are_counted_from_a_score_of_a_half() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 60, 60], [70, 70, 80, 80]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.4, 0.8], np.float32), np.array([0, 0, 0, 1]), ("cat", "dog"))
    assert false_alarms([found, found], [labelled(0, "cat"), labelled(1)], ["cat"]) == 1.5
    assert false_alarms([found], [labelled(0, "cat")], []) == 0


def test_equal_models_have_a_difference_of_zero_and_a_better_one_an_interval_above() -> None:
    count = 40
    boxes = np.ones(count, int)
    every = Hits(np.arange(count), np.ones(count, bool), boxes)
    half = Hits(np.arange(count), np.arange(count) % 2 == 0, boxes)
    same = compare([half], [half], count)[2]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert compare([half], [every], count)[2].low > 0.2
