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

"""The images that a whole network is trained on: decoded once, with the columns of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from edgecam_core.errors import ModelError
from edgecam_core.models.preprocess import InputSpec
from torch import Tensor

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.errors import DatasetError
from edgecam_training.improve.field import LabelledImage

_MARGIN = 1.25  # side of the decoded images, in sides of the input: crops keep some detail


def decode(
    groups: Sequence[tuple[Sequence[LabelledImage], Sequence[str]]], labels: Sequence[str], side: int
) -> tuple[ImageCache, Tensor]:
    """The images in memory, and (N, C) bool: the columns of each image's complete labels.

    Args:
        groups: images, with the labels of which every object has a box; boxes of other labels are left out.
        labels: those of the model, the background first.
        side: of the network's square input.

    Raises:
        DatasetError: an image cannot be decoded, or together they exceed the memory.
    """
    samples = [_sample(image, complete, labels) for images, complete in groups for image in images]
    columns = [[label in complete for label in labels] for images, complete in groups for _ in images]
    dataset = Dataset(Path(), tuple(labels[1:]), tuple(samples))
    cache = ImageCache.build(dataset, round(side * _MARGIN))
    if cache.broken:
        raise DatasetError(f"{cache.broken[0].path} cannot be decoded; remove it or put it back")
    return cache, torch.tensor(columns)


def _sample(image: LabelledImage, complete: Sequence[str], labels: Sequence[str]) -> Sample:
    kept = [number for number, label in enumerate(image.labels) if label in complete]
    boxes = np.concatenate([image.boxes[kept], image.ignored])
    # The label of an ignore region does not matter; 0 is the first class here.
    numbers = [labels.index(image.labels[number]) - 1 for number in kept] + [0] * len(image.ignored)
    difficult = [False] * len(kept) + [True] * len(image.ignored)
    return Sample.make(image.path, image.size, "train", boxes, numbers, difficult)


def normalise(pixels: Tensor, spec: InputSpec) -> Tensor:
    """(B, 3, S, S) float32 RGB, 0..255, as the network's input."""
    mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return ((pixels if spec.color == "rgb" else pixels.flip(1)) - mean) / std


def check_input(spec: InputSpec) -> None:
    """Raise ModelError if images cannot be prepared for this network in training."""
    if spec.fit != "stretch" or spec.layout != "nchw" or spec.width != spec.height or not spec.width:
        size = f"{spec.width}x{spec.height}, {spec.layout}, {spec.fit}"
        raise ModelError(
            f"the network's input is {size}; all weights can be trained only with a square input, nchw, stretch. Train "
            "the class heads only (--train heads)"
        )
