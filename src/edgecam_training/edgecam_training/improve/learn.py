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

"""Trains class heads on the features of a frozen network: logistic regression with hard negatives, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from edgecam_core.models.nms import overlaps
from edgecam_core.types import Frame

from edgecam_training.errors import DatasetError
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.heads import ClassHeads

POSITIVE, NEGATIVE = 0.6, 0.5  # IoU of a row's box with a labelled one: from, below; between them neither
HARD, RANDOM = 40, 40  # negatives an image and level: those with the highest scores of known classes, and any
STEPS, RATE = 200, 0.004
KEEP = 3e-3  # pull of a known class towards what it was
DECAY = 1e-4
START_BIAS = -4.0


@dataclass
class Samples:
    """Rows of one level: (N, F) features, (N,) anchor, (N, K) target in {0, 1}, nan where a row has no target."""

    features: list[np.ndarray] = field(default_factory=list)
    anchors: list[np.ndarray] = field(default_factory=list)
    targets: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class Learned:
    """``weights`` and ``biases`` as in Head, for ``labels``; ``alike`` names the known class a new one started from."""

    labels: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    alike: dict[str, str]
    positives: dict[str, int]


class Learner:
    """Learns heads for ``learned``: labels that are new, or known ones that may change.

    Args:
        heads: those of the live model.
        prepare: an image as the model's input, (1, 3, H, W) float32, and the scale from model to image pixels.
    """

    def __init__(
        self,
        heads: ClassHeads,
        run: Callable[[Frame], tuple[np.ndarray, np.ndarray, list[np.ndarray]]],
        learned: Sequence[str],
        progress: Callable[[str], None],
    ) -> None:
        self._heads = heads
        self._run = run
        self._learned = tuple(learned)
        self._progress = progress
        self._levels = [Samples() for _ in heads.heads]
        self._chance = np.random.default_rng(0)
        self._scores: dict[str, list[np.ndarray]] = {label: [] for label in learned}
        self.positives = dict.fromkeys(learned, 0)

    def add(self, image: LabelledImage, asked: Sequence[str], learned: Learned | None = None) -> None:
        """Take an image in which every object of the labels ``asked`` is labelled, as it is and mirrored.

        A second time with what was ``learned`` from the first: the rows that those heads take for an object most, and
        that are none, are added (hard negatives).
        """
        pixels = image.pixels()
        width = pixels.shape[1]
        mirrored = image.boxes.copy()
        if len(mirrored):
            mirrored[:, [0, 2]] = width - image.boxes[:, [2, 0]]
        self._add(pixels, image.boxes, image.labels, asked, learned)
        self._add(np.ascontiguousarray(pixels[:, ::-1]), mirrored, image.labels, asked, learned)

    def _add(
        self,
        pixels: np.ndarray,
        boxes: np.ndarray,
        labels: Sequence[str],
        asked: Sequence[str],
        learned: Learned | None,
    ) -> None:
        scores, found, features = self._run(Frame.from_array(pixels, "bgr8"))
        target = self._target(found, boxes, labels, asked)
        if learned is None:
            self._count(target, scores)
        start = 0
        for number, (head, level, map_) in enumerate(zip(self._heads.heads, self._levels, features, strict=True)):
            cells = map_.shape[2] * map_.shape[3]
            count = cells * head.anchors
            flat = map_[0].reshape(map_.shape[1], cells).T
            own = target[start : start + count]
            if learned is None:
                chosen = self._chosen(own, scores[start : start + count])
            else:
                chosen = self._mistaken(own, self._logits(flat, learned, number))
            level.features.append(flat[chosen // head.anchors].astype(np.float32))
            level.anchors.append(chosen % head.anchors)
            level.targets.append(target[start : start + count][chosen])
            start += count

    def _count(self, target: np.ndarray, scores: np.ndarray) -> None:
        for column, label in enumerate(self._learned):
            rows = target[:, column] == 1
            self.positives[label] += int(rows.any())
            if rows.any():
                self._scores[label].append(scores[rows].mean(axis=0))

    def _logits(self, flat: np.ndarray, learned: Learned, level: int) -> np.ndarray:
        """(rows, K) of the labels that are learned; ``flat`` are the features of a level, (cells, F)."""
        columns = [learned.labels.index(label) for label in self._learned]
        weight, bias = learned.weights[level][:, columns], learned.biases[level][:, columns]
        return (np.einsum("nf,akf->nak", flat, weight) + bias).reshape(-1, len(columns))

    def _mistaken(self, target: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """The rows that are no object and have the highest logits of a label."""
        worst = np.where(target == 0, logits, -np.inf).max(axis=1)
        order = np.argsort(-worst)[:HARD]
        return order[np.isfinite(worst[order])]

    def _target(self, found: np.ndarray, boxes: np.ndarray, labels: Sequence[str], asked: Sequence[str]) -> np.ndarray:
        """(rows, K): 1 an object of the class, 0 none, nan unknown."""
        target = np.full((len(found), len(self._learned)), np.nan, np.float32)
        for column, label in enumerate(self._learned):
            if label not in asked:
                continue
            own = boxes[[name == label for name in labels]]
            best = np.zeros(len(found))
            for box in own:
                best = np.maximum(best, overlaps(box, found))
            target[best < NEGATIVE, column] = 0.0
            target[best >= POSITIVE, column] = 1.0
        return target

    def _chosen(self, target: np.ndarray, scores: np.ndarray) -> np.ndarray:
        positive = np.flatnonzero((target == 1).any(axis=1))
        negative = np.flatnonzero((target == 0).any(axis=1) & ~(target == 1).any(axis=1))
        known = scores[negative][:, 1:].max(axis=1) if len(negative) else np.empty(0)
        hard = negative[np.argsort(-known)[:HARD]]
        rest = np.setdiff1d(negative, hard)
        other = self._chance.choice(rest, min(RANDOM, len(rest)), replace=False) if len(rest) else rest
        return np.concatenate([positive, hard, other]).astype(int)

    def learn(self) -> Learned:
        """Heads for the old labels and the new ones behind them.

        Raises:
            DatasetError: a label that no row of the model's boxes covers.
        """
        for label, count in self.positives.items():
            if count == 0:
                raise DatasetError(
                    f"no box of the model covers any '{label}' of the training frames by half; label larger objects, "
                    "or check the boxes"
                )
        known = self._heads.labels
        new = [label for label in self._learned if label not in known]
        labels = (*known, *new)
        columns = [labels.index(label) for label in self._learned]
        alike = {label: self._likest(label) for label in new}
        weights, biases = [], []
        for number, (head, level) in enumerate(zip(self._heads.heads, self._levels, strict=True)):
            self._progress(f"learning level {number + 1} of {len(self._levels)}")
            weight = np.zeros((head.anchors, len(labels), head.weight.shape[2]), np.float32)
            bias = np.full((head.anchors, len(labels)), START_BIAS, np.float32)
            weight[:, : len(known)], bias[:, : len(known)] = head.weight, head.bias
            for label in new:
                source = known.index(alike[label])
                weight[:, labels.index(label)] = head.weight[:, source]
                bias[:, labels.index(label)] = head.bias[:, source]
            held = np.array([label in known for label in self._learned])
            self._fit(level, weight, bias, columns, held)
            weights.append(weight)
            biases.append(bias)
        return Learned(labels, tuple(weights), tuple(biases), alike, dict(self.positives))

    def _likest(self, label: str) -> str:
        """The known class with the best mean score where the new one is."""
        mean = np.mean(self._scores[label], axis=0)
        mean[0] = -1.0  # the background is no class
        return self._heads.labels[int(mean.argmax())]

    def _fit(self, level: Samples, weight: np.ndarray, bias: np.ndarray, columns: list[int], held: np.ndarray) -> None:
        """Adam on the logistic loss, each anchor's weights separately; changes the columns in place."""
        features, anchors = np.concatenate(level.features), np.concatenate(level.anchors)
        targets = np.concatenate(level.targets)
        for anchor in range(weight.shape[0]):
            rows = anchors == anchor
            x, y = features[rows], targets[rows]
            asked = ~np.isnan(y)
            if not asked.any():
                continue
            y = np.nan_to_num(y)
            share = asked / np.maximum(asked.sum(axis=0), 1.0)
            w, b = weight[anchor, columns].copy(), bias[anchor, columns].copy()
            start_w, start_b = w.copy(), b.copy()
            has_objects = (y * asked).sum(axis=0) > 0
            moments = [np.zeros_like(w), np.zeros_like(w), np.zeros_like(b), np.zeros_like(b)]
            for step in range(1, STEPS + 1):
                p = 1 / (1 + np.exp(-np.clip(x @ w.T + b, -30, 30)))
                slope = (p - y) * share
                pull = np.where(held, KEEP, DECAY)
                gw = slope.T @ x + pull[:, None] * (w - start_w)
                gb = slope.sum(axis=0) + pull * (b - start_b)
                for value, gradient, first, second in (
                    (w, gw, moments[0], moments[1]),
                    (b, gb, moments[2], moments[3]),
                ):
                    first += 0.1 * (gradient - first)
                    second += 0.001 * (gradient**2 - second)
                    rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                    value -= rate * first / (np.sqrt(second) + 1e-8)
            # An anchor that has seen no object of a new class must not guess one.
            w[~has_objects & ~held] = 0.0
            b[~has_objects & ~held] = -8.0
            weight[anchor, columns], bias[anchor, columns] = w, b
