"""A real SSD of nine convolutions on 64x64 pixels, for exports whose subject is the format of the file."""

from __future__ import annotations

import torch
from edgecam_core.models.priors import PriorLevel, grid_priors
from edgecam_training.models.base import SsdModel, rows
from edgecam_training.models.depthwise import Depthwise
from edgecam_training.models.norm_relu import NormRelu
from torch import Tensor, nn

CONVOLUTIONS = 9
_LEVELS = (PriorLevel(16, 4, 8, 16), PriorLevel(8, 8, 16, 32))
_WIDTHS, _PRIORS_PER_CELL = (16, 32), 6


class SmallSsd(SsdModel):
    """A convolution and two depthwise-separable blocks, with heads behind each block."""

    name, size = "small", 64

    def __init__(self, columns: int) -> None:
        super().__init__(columns, grid_priors(_LEVELS, self.size))
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), NormRelu(8))
        self.blocks = nn.ModuleList([_block(8, 16), _block(16, 32)])
        self.classification_headers = nn.ModuleList(_head(width, columns) for width in _WIDTHS)
        self.regression_headers = nn.ModuleList(_head(width, 4) for width in _WIDTHS)

    def features(self, images: Tensor) -> list[Tensor]:
        found = [self.first(images)]
        for block in self.blocks:
            found.append(block(found[-1]))
        return found[1:]

    def heads(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        pairs = zip(self.classification_headers, self.regression_headers, features, strict=True)
        parts = [(rows(classify(x), self.columns), rows(locate(x), 4)) for classify, locate, x in pairs]
        return torch.cat([part[0] for part in parts], dim=1), torch.cat([part[1] for part in parts], dim=1)


def _block(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        Depthwise(width, 2), NormRelu(width), nn.Conv2d(width, channels, 1, bias=False), NormRelu(channels)
    )


def _head(width: int, columns: int) -> nn.Conv2d:
    return nn.Conv2d(width, _PRIORS_PER_CELL * columns, 3, padding=1)
