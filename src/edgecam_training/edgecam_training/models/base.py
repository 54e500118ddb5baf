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

"""Base of all networks: heads over priors, and image preprocessing."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from edgecam_core.models.priors import CENTER_VARIANCE, SIZE_VARIANCE
from torch import Tensor, nn


@dataclass(frozen=True)
class Normalisation:
    """Input = (pixel - mean) / std, RGB, pixels 0..255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class SsdModel(nn.Module):
    """A single-shot detector: class logits (column 0 is the background) and box offsets for every prior.

    ``size`` is the side of the square input in pixels; ``columns`` includes the background. ``priors`` is (N, 4)
    float32 cx cy w h as fractions; as in pytorch-ssd it is not part of the state dict.
    """

    name: str = ""
    size: int = 300
    normalisation = Normalisation((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
    priors: Tensor

    def __init__(self, columns: int, priors: np.ndarray) -> None:
        super().__init__()
        self.columns = columns
        self.register_buffer("priors", torch.from_numpy(priors), persistent=False)

    @abstractmethod
    def features(self, images: Tensor) -> list[Tensor]:
        """The feature maps, finest first."""

    @abstractmethod
    def heads(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, N, columns) logits and (B, N, 4) offsets."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, columns) logits and (B, N, 4) offsets of (B, 3, size, size) normalised images."""
        return self.heads(self.features(images))

    def boxes(self, offsets: Tensor) -> Tensor:
        """Decode (B, N, 4) offsets to x1 y1 x2 y2 as fractions of the image, not clipped."""
        return decode(offsets, self.priors)

    def load_pretrained(self, state: dict[str, Tensor]) -> list[str]:
        """Load every tensor that matches by name and shape; heads with another number of classes do not.

        Returns:
            The names of the tensors that keep their random values, sorted.
        """
        own = self.state_dict()
        fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
        self.load_state_dict(fitting, strict=False)
        return sorted(set(own) - set(fitting))


def decode(offsets: Tensor, priors: Tensor) -> Tensor:
    """Decode offsets relative to priors to x1 y1 x2 y2; the torch version of ``priors.decode`` and ``to_corners``."""
    centre = offsets[..., :2] * CENTER_VARIANCE * priors[..., 2:] + priors[..., :2]
    half = torch.exp(offsets[..., 2:] * SIZE_VARIANCE) * (priors[..., 2:] / 2)
    return torch.cat([centre - half, centre + half], dim=-1)


def encode(boxes: Tensor, priors: Tensor) -> Tensor:
    """Encode boxes x1 y1 x2 y2 relative to priors cx cy w h; boxes must not be empty."""
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    shift = (centre - priors[..., :2]) / priors[..., 2:] / CENTER_VARIANCE
    return torch.cat([shift, torch.log(size / priors[..., 2:]) / SIZE_VARIANCE], dim=-1)


def rows(maps: Tensor, columns: int) -> Tensor:
    """Reshape (B, A * columns, H, W) to (B, H * W * A, columns)."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, columns)
