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

"""Trains class heads on the features of a frozen network: logistic regression with hard negatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from edgecam_core.models.nms import overlaps
from edgecam_core.types import Frame

from edgecam_training.errors import DatasetError
from edgecam_training.improve import logistic
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.network import FrozenNetwork, Output

POSITIVE, NEGATIVE = 0.6, 0.5  # IoU with a labelled box: positive from, negative below; ignored in between
HARD, RANDOM = 40, 40  # negatives per image and level: with the highest scores of known classes, and at random
STEPS = 100
KNOWN_PENALTY = 3e-3  # L2, on the change of a known class's weights
NEW_PENALTY = 1e-4  # L2, on the distance of a new class's weights from those it starts with
START_BIAS = -4.0
KEPT = 32  # images whose features stay in memory for the mining of hard negatives: 5 MB each for the default model
UNSEEN_BIAS = -8.0  # of an anchor that no training object of the label matches


@dataclass(frozen=True)
class Rows:
    """Rows of one level: (N, F) features, (N,) anchors, (N, K) targets in {0, 1}, NaN without a target."""

    features: np.ndarray
    anchors: np.ndarray
    targets: np.ndarray


@dataclass
class TrainingRows:
    """The training data of one image: rows by level and view; mean scores of the known classes on its objects, by
    label."""

    levels: list[list[Rows]]
    scores: dict[str, list[np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """Trained heads: ``weights`` and ``biases`` as in Head, for ``labels``; ``alike`` maps each new label to the known
    class it started from."""

    labels: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    alike: dict[str, str]
    positives: dict[str, int]


class Learner:
    """Trains heads for the labels ``learned``: new ones, and known ones that may change.

    Args:
        heads: the heads of the live model, which ``network`` runs.
        seed: seed of the random negatives.
    """

    def __init__(
        self,
        heads: ClassHeads,
        network: FrozenNetwork,
        learned: Sequence[str],
        progress: Callable[[str], None],
        seed: int = 0,
    ) -> None:
        self._heads = heads
        self._network = network
        self._learned = tuple(learned)
        self._progress = progress
        self._chance = np.random.default_rng(seed)
        self._kept: dict[Path, tuple[int, Output, Output]] = {}

    def extract(self, image: LabelledImage, complete: Sequence[str], learned: Learned | None = None) -> TrainingRows:
        """The training rows of an image and its mirror image.

        Every object of the labels ``complete`` must have a box; other labels get no targets. With trained heads
        ``learned``, the result has only hard negatives: background rows with the highest scores of these heads.
        """
        width, *outputs = self._run(image)
        mirrored = image.boxes.copy()
        if len(mirrored):
            mirrored[:, [0, 2]] = width - image.boxes[:, [2, 0]]
        sample = TrainingRows([[] for _ in self._heads.heads])
        for output, boxes in zip(outputs, (image.boxes, mirrored), strict=True):
            self._extract(sample, output, boxes, image.labels, complete, learned)
        return sample

    def _run(self, image: LabelledImage) -> tuple[int, Output, Output]:
        """The width of an image, and what the network makes of it and of its mirror image."""
        if (kept := self._kept.get(image.path)) is not None:
            return kept
        pixels = image.pixels()
        views = pixels, np.ascontiguousarray(pixels[:, ::-1])
        first, second = (self._network(Frame.from_array(view, "bgr8")) for view in views)
        result = pixels.shape[1], first, second
        if len(self._kept) < KEPT:
            self._kept[image.path] = result
        return result

    def _extract(
        self,
        sample: TrainingRows,
        output: Output,
        boxes: np.ndarray,
        labels: Sequence[str],
        complete: Sequence[str],
        learned: Learned | None,
    ) -> None:
        scores, found, features = output
        target = self._target(found, boxes, labels, complete)
        if learned is None:
            for column, label in enumerate(self._learned):
                if (rows := target[:, column] == 1).any():
                    sample.scores.setdefault(label, []).append(scores[rows].mean(axis=0))
        start = 0
        for number, (head, map_) in enumerate(zip(self._heads.heads, features, strict=True)):
            flat = map_[0].reshape(map_.shape[1], -1).T
            end = start + len(flat) * head.anchors
            own = target[start:end]
            if learned is None:
                chosen = self._select_rows(own, scores[start:end])
            else:
                chosen = self._hard_negatives(own, self._logits(flat, learned, number))
            taken = flat[chosen // head.anchors].astype(np.float32)
            sample.levels[number].append(Rows(taken, chosen % head.anchors, own[chosen]))
            start = end

    def _logits(self, flat: np.ndarray, learned: Learned, level: int) -> np.ndarray:
        """(rows, K) logits of the learned labels; ``flat`` are the features of a level, (cells, F)."""
        columns = [learned.labels.index(label) for label in self._learned]
        weight, bias = learned.weights[level][:, columns], learned.biases[level][:, columns]
        logits = flat @ weight.reshape(-1, weight.shape[-1]).T + bias.reshape(-1)  # cells x (anchors x K)
        return np.asarray(logits.reshape(-1, len(columns)))

    def _hard_negatives(self, target: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The background rows with the highest logits of any label."""
        worst = np.where(target == 0, logits, -np.inf).max(axis=1)
        order = np.argsort(-worst)[:HARD]
        return np.asarray(order[np.isfinite(worst[order])])

    def _target(
        self, found: np.ndarray, boxes: np.ndarray, labels: Sequence[str], complete: Sequence[str]
    ) -> np.ndarray:
        """(rows, K): 1 = object of the class, 0 = background, NaN = unknown."""
        target = np.full((len(found), len(self._learned)), np.nan, np.float32)
        for column, label in enumerate(self._learned):
            if label not in complete:
                continue
            own = boxes[[name == label for name in labels]]
            best = np.zeros(len(found))
            for box in own:
                best = np.maximum(best, overlaps(box, found))
            target[best < NEGATIVE, column] = 0.0
            target[best >= POSITIVE, column] = 1.0
        return target

    def _select_rows(self, target: np.ndarray, scores: np.ndarray) -> np.ndarray:
        positive = np.flatnonzero((target == 1).any(axis=1))
        negative = np.flatnonzero((target == 0).any(axis=1) & ~(target == 1).any(axis=1))
        known = scores[negative][:, 1:].max(axis=1) if len(negative) else np.empty(0)
        hard = negative[np.argsort(-known)[:HARD]]
        rest = np.setdiff1d(negative, hard)
        other = self._chance.choice(rest, min(RANDOM, len(rest)), replace=False) if len(rest) else rest
        return np.concatenate([positive, hard, other]).astype(int)

    def learn(self, samples: Sequence[TrainingRows]) -> Learned:
        """Heads for the known labels, followed by the new ones.

        Raises:
            DatasetError: no box of the model covers an object of a label.
        """
        positives = Counter(label for sample in samples for label in sample.scores)
        for label in self._learned:
            if positives[label] == 0:
                raise DatasetError(
                    f"no box of the model covers any '{label}' of the training frames by half; label larger objects, "
                    "or check the boxes"
                )
        known = self._heads.labels
        new = [label for label in self._learned if label not in known]
        labels = (*known, *new)
        alike = {label: self._most_similar(label, samples) for label in new}
        weights, biases = [], []
        for number, head in enumerate(self._heads.heads):
            self._progress(f"learning level {number + 1} of {len(self._heads.heads)}")
            weight = np.zeros((head.anchors, len(labels), head.weight.shape[2]), np.float32)
            bias = np.full((head.anchors, len(labels)), START_BIAS, np.float32)
            weight[:, : len(known)], bias[:, : len(known)] = head.weight, head.bias
            for label in new:
                source = known.index(alike[label])
                weight[:, labels.index(label)] = head.weight[:, source]
                bias[:, labels.index(label)] = head.bias[:, source]
            self._fit([rows for sample in samples for rows in sample.levels[number]], weight, bias, labels)
            weights.append(weight)
            biases.append(bias)
        return Learned(labels, tuple(weights), tuple(biases), alike, dict(positives))

    def _most_similar(self, label: str, samples: Sequence[TrainingRows]) -> str:
        """The known class with the highest mean score on the objects of the new label."""
        mean = np.mean([scores for sample in samples for scores in sample.scores.get(label, [])], axis=0)
        mean[0] = -1.0  # background
        return self._heads.labels[int(mean.argmax())]

    def _fit(self, level: Sequence[Rows], weight: np.ndarray, bias: np.ndarray, labels: Sequence[str]) -> None:
        """Fit each anchor's weights separately; changes the columns of the learned labels in place."""
        columns = [labels.index(label) for label in self._learned]
        known = np.array([label in self._heads.labels for label in self._learned])
        features, anchors, targets = (
            np.concatenate([getattr(rows, name) for rows in level]) for name in ("features", "anchors", "targets")
        )
        for anchor in range(weight.shape[0]):
            rows = anchors == anchor
            y = targets[rows]
            if np.isnan(y).all():
                continue
            # An anchor without a training object of a new class must not detect the class.
            trained = (y == 1).any(axis=0) | known
            w, b = np.zeros_like(weight[anchor, columns]), np.full(len(columns), UNSEEN_BIAS, np.float32)
            if trained.any():
                start = weight[anchor, columns][trained], bias[anchor, columns][trained]
                penalty = np.where(known[trained], KNOWN_PENALTY, NEW_PENALTY)
                w[trained], b[trained] = logistic.fit(features[rows], y[:, trained], start, penalty, STEPS)
            weight[anchor, columns], bias[anchor, columns] = w, b
