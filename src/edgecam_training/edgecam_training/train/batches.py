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

"""The training images of each step: identical after every restart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from edgecam_training.data.image_cache import ImageCache
from edgecam_training.models.loss import Targets
from edgecam_training.train.augment import step_generator
from edgecam_training.train.distributed import World
from edgecam_training.train.settings import TrainSettings


class Batches:
    """Selects the images of each step for this process. ``steps`` is the number of steps per epoch."""

    def __init__(self, data: ImageCache, settings: TrainSettings, world: World) -> None:
        self.data, self._settings, self._world = data, settings, world
        self.steps = max(1, len(data) // (settings.batch * world.size))

    def order(self, epoch: int) -> Tensor:
        """Indices of this process's images in an epoch, (steps, batch)."""
        generator = step_generator(self._settings.seed, epoch, -1, -1)
        count = len(self.data)
        needed = self.steps * self._settings.batch * self._world.size
        order = torch.cat([torch.randperm(count, generator=generator) for _ in range(math.ceil(needed / count))])
        return order[:needed].view(self.steps, self._world.size, self._settings.batch)[:, self._world.rank]

    def batch(self, rows: Tensor) -> tuple[Tensor, Targets]:
        """Decoded images (B, S, S, 3) uint8 and their boxes, on the device, before augmentation."""
        data = self.data
        images = data.images[rows.to(data.images.device)].to(self._world.device, non_blocking=True)
        rows = rows.to(self._world.device)
        return images, Targets(data.boxes[rows], data.labels[rows])

    def generator(self, epoch: int, step: int) -> torch.Generator:
        """The random generator for the augmentation of a step."""
        return step_generator(self._settings.seed, epoch, step, self._world.rank)
