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

"""Frames that a whole network is not trained on, to choose the best round of its training; not those of the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from edgecam_core.files import descriptor_path, in_memory

from edgecam_training.improve import calibrate
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.measure import Progress, detect, tuples
from edgecam_training.improve.statistics import average_precision, match

PARTS = 5  # one of this many is held out


def hold_out(images: Sequence[LabelledImage], gap_seconds: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Images to train on, and about a fifth to choose the best round; neighbouring frames stay together.

    The second list is empty if no part can be spared: a single run of frames, or labels that only one part has.
    """
    labels = {label for one in images for label in one.labels}
    for fold in calibrate.folds(images, gap_seconds, PARTS):
        held = set(fold)
        rest = [one for index, one in enumerate(images) if index not in held]
        if {label for one in rest for label in one.labels} == labels:
            return rest, [images[index] for index in fold]
    return list(images), []


@dataclass(frozen=True)
class TrainingSplit:
    """``fit`` to train on, ``held`` to choose the best round; ``replay`` and ``replay_held`` the same of known labels.

    ``learned`` are the labels of which ``fit`` has every object; of them, ``known`` are those of which ``replay`` has.
    """

    fit: Sequence[LabelledImage]
    held: Sequence[LabelledImage]
    replay: Sequence[LabelledImage]
    replay_held: Sequence[LabelledImage]
    learned: Sequence[str]
    known: Sequence[str]


def score(model: onnx.ModelProto, material: TrainingSplit, progress: Progress) -> tuple[float, float]:
    """Mean AP of the learned labels on the held-out frames, and of the known ones on the held-out replay images."""
    pairs = ((material.held, material.learned), (material.replay_held, material.known))
    field, replay = (_mean(model, images, labels, progress) for images, labels in pairs)
    return field, replay


def _mean(model: onnx.ModelProto, images: Sequence[LabelledImage], labels: Sequence[str], progress: Progress) -> float:
    """Mean AP of the labels that the images have; 0 without any."""
    if not images:
        return 0.0
    found = found_in(model, images, progress)
    values = [average_precision(match(found, images, label), np.ones(len(images), int)) for label in labels]
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else 0.0


def found_in(model: onnx.ModelProto, images: Sequence[LabelledImage], progress: Progress) -> list[Any]:
    """Label, score and box of each detection in each image."""
    with in_memory(model.SerializeToString()) as file:
        return tuples(detect(descriptor_path(file), images, progress))
