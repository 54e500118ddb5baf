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

"""SSD-MobileNetV1 300 with the parameters of pytorch-ssd and jetson-inference.

Names, shapes, priors and normalisation are identical: ``mobilenet-v1-ssd-mp-0_675.pth`` and every checkpoint of their
``train_ssd.py`` load here, and a state dict saved here loads there.
"""

from __future__ import annotations

import torch
from edgecam_core.models.priors import MOBILENET_V1_300, grid_priors
from torch import Tensor, nn

from edgecam_training.models.base import SsdModel, rows
from edgecam_training.models.depthwise import Depthwise
from edgecam_training.models.norm_relu import NormRelu

# Output channels and stride of the 13 depthwise-separable blocks (Howard et al., "MobileNets", table 1).
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
_FIRST_MAP = 12  # number of layers of the base net before the finest feature map
_EXTRAS = ((1024, 256, 512), (512, 128, 256), (256, 128, 256), (256, 128, 256))
_PRIORS_PER_CELL = 6


class MobileNetV1Ssd(SsdModel):
    """See the module's docstring."""

    name = "ssd_mobilenet_v1"

    def __init__(self, columns: int) -> None:
        super().__init__(columns, grid_priors(MOBILENET_V1_300, self.size))
        layers, width = [_first(32)], 32
        for channels, stride in _BLOCKS:
            layers.append(_separable(width, channels, stride))
            width = channels
        self.base_net = nn.Sequential(*layers)
        self.extras = nn.ModuleList(_extra(*sizes) for sizes in _EXTRAS)
        widths = (512, 1024, 512, 256, 256, 256)
        self.classification_headers = nn.ModuleList(_head(width, columns) for width in widths)
        self.regression_headers = nn.ModuleList(_head(width, 4) for width in widths)
        for part in (self.extras, self.classification_headers, self.regression_headers):
            part.apply(_xavier)

    def features(self, images: Tensor) -> list[Tensor]:
        fine = self.base_net[:_FIRST_MAP](images)
        found = [fine, self.base_net[_FIRST_MAP:](fine)]
        for extra in self.extras:
            found.append(extra(found[-1]))
        return found

    def heads(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        pairs = zip(self.classification_headers, self.regression_headers, features, strict=True)
        parts = [(rows(classify(x), self.columns), rows(locate(x), 4)) for classify, locate, x in pairs]
        return torch.cat([part[0] for part in parts], dim=1), torch.cat([part[1] for part in parts], dim=1)


def _first(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1, bias=False), NormRelu(channels))


def _separable(width: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Depthwise(width, stride),
        NormRelu(width),
        nn.Identity(),  # pytorch-ssd has its ReLU here and counts it
        nn.Conv2d(width, channels, 1, bias=False),
        NormRelu(channels),
    )


def _extra(width: int, middle: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, middle, 1), nn.ReLU(), nn.Conv2d(middle, channels, 3, stride=2, padding=1), nn.ReLU()
    )


def _head(width: int, columns: int) -> nn.Conv2d:
    return nn.Conv2d(width, _PRIORS_PER_CELL * columns, 3, padding=1)


def _xavier(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
