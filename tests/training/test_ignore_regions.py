"""Crowds, groups and difficult objects: nothing in them is learned as background or counts as a false positive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from edgecam_core.models.priors import MOBILENET_V1_300, grid_priors
from edgecam_training.data.dataset import Sample
from edgecam_training.data.image_cache import pad_boxes
from edgecam_training.evaluate.metrics import Found, GroundTruth, score
from edgecam_training.models.loss import IGNORE, Targets, match, multibox_loss
from edgecam_training.train.augment import Augmentation, augment, draw, step_generator

PRIORS = torch.from_numpy(grid_priors(MOBILENET_V1_300, 300))
HERD = (0.4, 0.1, 0.95, 0.9)


def _targets(ignored: bool) -> Targets:
    boxes = torch.tensor([[(0.05, 0.1, 0.3, 0.5), HERD]])
    return Targets(boxes, torch.tensor([[1, IGNORE if ignored else 0]]))


def test_priors_inside_a_crowd_are_neither_positive_nor_negative() -> None:
    labels, offsets = match(_targets(True), PRIORS)
    plain, same = match(_targets(False), PRIORS)
    corners = torch.cat([PRIORS[:, :2] - PRIORS[:, 2:] / 2, PRIORS[:, :2] + PRIORS[:, 2:] / 2], dim=1)
    low, high = (
        torch.maximum(corners[:, :2], torch.tensor(HERD[:2])),
        torch.minimum(corners[:, 2:], torch.tensor(HERD[2:])),
    )
    covered = (high - low).clamp(min=0).prod(1) / (corners[:, 2:] - corners[:, :2]).prod(1)
    assert torch.equal(labels[0] == IGNORE, (covered >= 0.5) & (plain[0] == 0))
    assert torch.equal(labels[0] > 0, plain[0] > 0)  # a real box wins
    assert torch.equal(offsets, same)


def test_scores_inside_a_crowd_add_no_loss() -> None:
    inside = match(_targets(True), PRIORS)[0][0] == IGNORE
    quiet = torch.zeros(1, len(PRIORS), 3)
    quiet[..., 0] = 8.0
    loud = quiet.clone()
    loud[0, inside, 1] = 20.0  # the network detects animals in the herd
    offsets = torch.zeros(1, len(PRIORS), 4)
    losses = [multibox_loss(logits, offsets, _targets(True), PRIORS).total for logits in (quiet, loud)]
    assert losses[0] == losses[1]
    assert multibox_loss(loud, offsets, _targets(False), PRIORS).total > losses[0] + 1
    loud.requires_grad_(True)
    multibox_loss(loud, offsets, _targets(True), PRIORS).total.backward()
    assert loud.grad is not None
    assert loud.grad[0, inside].abs().max() == 0


def test_every_kind_of_region_reaches_the_loss() -> None:
    sample = Sample.make(Path("a.jpg"), (100, 50), "train", [(0, 0, 50, 25)] * 3, [4, 4, 4], [0, 1, 0], [0, 0, 1])
    boxes, labels = pad_boxes([sample])
    assert labels.tolist() == [[5, IGNORE, IGNORE]]
    assert boxes[0, 0].tolist() == [0, 0, 0.5, 0.5]


def test_a_region_that_is_partly_in_the_window_stays_one() -> None:
    images = torch.full((64, 50, 50, 3), 100, dtype=torch.uint8)
    boxes = torch.tensor([[(0.0, 0.0, 1.0, 1.0), (0.4, 0.4, 0.6, 0.6)]])
    wide = Targets(boxes.repeat(64, 1, 1), torch.tensor([[IGNORE, 1]]).repeat(64, 1))
    _, moved = augment(images, wide, 50, Augmentation(zoom_out=1.0, color=0.0), *draw(64, step_generator(0, 0, 0, 0)))
    assert (moved.labels[:, 0] == IGNORE).all()
    assert (moved.boxes[:, 0] == torch.tensor([0.0, 0.0, 1.0, 1.0])).all()


def test_detections_in_a_crowd_are_false_positives_in_no_metric() -> None:
    herd, one = (40, 10, 95, 90), (5, 10, 30, 50)
    inside = [(45, 15, 60, 30), (50, 50, 70, 80), (80, 20, 94, 40)]
    found = [Found(np.array([*inside, one], float), np.array([0.9, 0.8, 0.7, 0.6]), np.zeros(4, int))]
    flags = np.array([False, True])

    def scores(crowd: np.ndarray | None) -> tuple[float, float]:
        truth = [GroundTruth(np.array([one, herd], float), np.zeros(2, int), flags, crowd)]
        result = score(found, truth, 1)
        return float(result.voc[0]), float(result.coco[0])

    assert scores(flags) == (1.0, 1.0)
    # One difficult object is not a region: detections of its parts are errors, as in VOC's own evaluation.
    assert scores(None)[0] < 0.3
