"""Scores of new labels are calibrated on folds that were not used for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgecam_training.improve import calibrate
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.learn import Learned
from edgecam_training.improve.logistic import fit
from edgecam_training.improve.statistics import Hits

SECOND = 1_000_000_000


def image(stamp: float, *labels: str, group: str = "front") -> LabelledImage:
    boxes = np.array([[0, 0, 10, 10]] * len(labels), np.float32).reshape(-1, 4)
    return LabelledImage(Path(f"{group}-{stamp}.jpg"), boxes, labels, group, round(stamp * SECOND))


def test_folds_separate_moments_and_spread_every_label() -> None:
    images = [image(60 * moment + tick, "cat" if moment % 4 else "pig") for moment in range(24) for tick in (0, 0.5)]
    made = calibrate.folds(images, 2.0)
    assert sorted(index for fold in made for index in fold) == list(range(48))
    assert [len(fold) for fold in made] == [16, 16, 16]
    for fold in made:
        assert {images[index].stamp_ns // (60 * SECOND) for index in fold} == {index // 2 for index in fold}
        assert sum("pig" in images[index].labels for index in fold) == 4


def test_a_single_moment_cannot_be_split() -> None:
    assert calibrate.folds([image(0.1 * number, "cat") for number in range(9)], 2.0) == []


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))


def hits(hit: list[bool], objects: int) -> Hits:
    return Hits(np.zeros(len(hit), int), np.array(hit, bool), np.array([objects]))


def test_the_threshold_with_the_best_f1_becomes_one_half() -> None:
    logits = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    # F1 after each: 2/6, 4/7, 6/8, 6/9, 8/10, 8/11, 8/12: best after the fifth
    value = calibrate.shift(sigmoid(logits), hits([True, True, True, False, True, False, False], 5))
    assert value == pytest.approx(-1.5)  # between it and the one that follows
    assert ((logits + value) >= 0).sum() == 5


def test_scores_that_are_too_low_are_raised() -> None:
    logits = np.array([-1.0, -1.5, -2.0, -4.0])
    value = calibrate.shift(sigmoid(logits), hits([True, True, True, False], 3))
    assert value == pytest.approx(3.0)


def test_detections_that_all_hit_are_not_lowered() -> None:
    assert calibrate.shift(np.array([0.99, 0.98, 0.9]), hits([True] * 3, 3)) == 0
    raised = calibrate.shift(np.array([0.4, 0.3, 0.2]), hits([True] * 3, 3))
    assert raised == pytest.approx(-calibrate.logit(np.array([0.2]))[0])


def test_too_few_hits_leave_the_scores_unchanged() -> None:
    assert calibrate.shift(np.array([0.9, 0.8, 0.7]), hits([True, True, False], 4)) is None
    assert calibrate.shift(np.empty(0), hits([], 9)) is None


@pytest.mark.parametrize("value", [-3.0, -0.5, 0.0, 1.5])
def test_only_the_calibrated_label_changes_and_nothing_falls_below_what_counts(value: float) -> None:
    chance = np.random.default_rng(7)
    weight, bias = chance.normal(size=(3, 2, 5)).astype(np.float32), chance.normal(size=(3, 2)).astype(np.float32)
    learned = Learned(("dog", "pig"), (weight,), (bias,), {}, {})
    made = calibrate.apply_shifts(learned, {"pig": value})
    x = chance.normal(size=(200, 5)).astype(np.float32)
    before, after = (np.einsum("nf,alf->nal", x, one.weights[0]) + one.biases[0] for one in (learned, made))
    assert np.array_equal(after[..., 0], before[..., 0])
    pig = (before[..., 1].ravel(), after[..., 1].ravel())
    assert np.array_equal(np.argsort(pig[0]), np.argsort(pig[1]))
    assert ((pig[0] >= -value) == (pig[1] >= 0)).mean() > 0.99  # the threshold has become one half
    lowest = calibrate.logit(np.array(0.05))
    assert (pig[1][pig[0] >= lowest] >= lowest - 1e-4).all()


def test_the_fit_separates_what_can_be_separated_and_leaves_out_unknown_targets() -> None:
    chance = np.random.default_rng(8)
    x = chance.normal(size=(400, 6)).astype(np.float32)
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0], axis=1).astype(np.float32)
    wrong = y.copy()
    wrong[::2, 1] = 1 - wrong[::2, 1]
    unknown = wrong.copy()
    unknown[::2, 1] = np.nan  # what would be wrong is unknown
    start = np.zeros((2, 6), np.float32), np.zeros(2, np.float32)
    w, b = fit(x, unknown, start, np.full(2, 1e-4), 400)
    right = ((x @ w.T + b > 0) == (y > 0)).mean(axis=0)
    assert (right > 0.9).all()
    assert w.dtype == np.float32
