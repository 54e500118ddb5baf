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

"""Trains heads with hard-negative mining, and calibrates the new labels on held-out folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from edgecam_core.files import descriptor_path, in_memory

from edgecam_training.errors import DatasetError
from edgecam_training.improve import calibrate
from edgecam_training.improve.checkpoint import Checkpoints
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.heads import ClassHeads
from edgecam_training.improve.learn import Learned, Learner, TrainingRows
from edgecam_training.improve.measure import detect, tuples
from edgecam_training.improve.network import FrozenNetwork
from edgecam_training.improve.statistics import average_precision, match

ROUNDS = 1  # of hard-negative mining


class HeadTrainer:
    """Trains the heads of ``network`` for the labels ``learned``.

    Args:
        images: reviewed images in which every object is labelled.
        replay: images in which every object of a known label is labelled.
        gap_seconds: frames closer than this are never in different folds.
        checkpoints: store trained heads, so that an interrupted run can continue.
    """

    def __init__(
        self,
        heads: ClassHeads,
        network: FrozenNetwork,
        images: Sequence[LabelledImage],
        replay: Sequence[LabelledImage],
        learned: Sequence[str],
        gap_seconds: float,
        progress: Callable[[str], None],
        checkpoints: Checkpoints,
        seed: int = 0,
    ) -> None:
        self._heads = heads
        self._network = network
        self._images = images
        self._replay = replay
        self._learned = list(learned)
        self._known = [label for label in learned if label in heads.labels]
        self._gap = gap_seconds
        self._progress = progress
        self._checkpoints = checkpoints
        self._learner = Learner(heads, network, learned, progress, seed)

    def train(self) -> tuple[Learned, dict[str, Any]]:
        """Trained and calibrated heads, and facts for the report. Raises DatasetError if a label cannot be learned."""
        samples, replayed = [], []
        for number, image in enumerate(self._images, start=1):
            self._progress(f"extracting features of frame {number} of {len(self._images)}")
            samples.append(self._learner.extract(image, self._learned))
        for number, image in enumerate(self._replay, start=1):
            self._progress(f"extracting features of replay image {number} of {len(self._replay)}")
            replayed.append(self._learner.extract(image, self._known))  # new labels are not annotated there
        every = range(len(self._images))
        trained = self._learn("all", every, samples, replayed)
        shifts, tested = self._calibration(samples, replayed)
        facts = {
            "alike": trained.alike,
            "images_with_objects": trained.positives,
            "shifts": shifts,
            "held_out_folds": tested,
        }
        return calibrate.apply_shifts(trained, shifts), facts

    def _learn(
        self, name: str, members: Sequence[int], samples: Sequence[TrainingRows], replayed: Sequence[TrainingRows]
    ) -> Learned:
        if (kept := self._checkpoints.read(name)) is not None:
            return kept
        own = [*(samples[index] for index in members), *replayed]
        trained = self._learner.learn(own)
        for _ in range(ROUNDS):
            for number, index in enumerate(members, start=1):
                self._progress(f"{name}: mining hard negatives in frame {number} of {len(members)}")
                own.append(self._learner.extract(self._images[index], self._learned, trained))
            trained = self._learner.learn(own)
        self._checkpoints.write(name, trained)
        return trained

    def _calibration(
        self, samples: Sequence[TrainingRows], replayed: Sequence[TrainingRows]
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The shift of each new label's logits, and test results on held-out folds for the report."""
        new = [label for label in self._learned if label not in self._known]
        folds = calibrate.folds(self._images, self._gap) if new else []
        truth: list[LabelledImage] = []
        found: list[Any] = []
        for number, fold in enumerate(folds, start=1):
            rest = [index for index in range(len(self._images)) if index not in fold]
            try:
                trained = self._learn(f"fold {number} of {len(folds)}", rest, samples, replayed)
            except DatasetError:  # a label that occurs only in this fold
                continue
            truth += (held_out := [self._images[index] for index in fold])
            found += self._detect(trained, held_out)
        shifts: dict[str, float] = {}
        tested: dict[str, Any] = {}
        for label in new if truth else ():
            hits = match(found, truth, label)
            scores = np.array(sorted((score for one in found for name, score, _ in one if name == label), reverse=True))
            value = calibrate.shift(scores, hits)
            accepted = calibrate.logit(scores) + (value or 0.0) >= 0
            if value is not None:
                shifts[label] = value
            tested[label] = {
                "boxes": int(hits.boxes.sum()),
                "average_precision": average_precision(hits, np.ones(len(truth), int)),
                "found": int(hits.hit[accepted].sum()),
                "wrong_boxes": float((~hits.hit[accepted]).sum() / len(truth)),
            }
        return shifts, tested

    def _detect(self, trained: Learned, images: Sequence[LabelledImage]) -> list[Any]:
        model = self._heads.rebuild(trained.labels, trained.weights, trained.biases, {})
        with in_memory(model) as file:
            return tuples(detect(descriptor_path(file), images, self._progress))
