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

"""SSDLite320-MobileNetV3-Large, built from torchvision's parts; its detection checkpoints load by name.

torchvision's model includes resizing, matching and NMS; only its backbone, head and priors are used here, in the same
training loop as the other networks. 3234 priors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.image_list import ImageList

from edgecam_training.models.base import Normalisation, SsdModel


class MobileNetV3SsdLite(SsdModel):
    """See the module's docstring."""

    name = "ssdlite_mobilenet_v3"
    size = 320
    normalisation = Normalisation((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))

    def __init__(self, columns: int) -> None:
        whole = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=columns)
        super().__init__(columns, _priors(whole, self.size))
        self.backbone = whole.backbone
        self.head = whole.head

    def features(self, images: Tensor) -> list[Tensor]:
        return list(self.backbone(images).values())

    def heads(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        found = self.head(features)
        return found["cls_logits"], found["bbox_regression"]


def _priors(whole: torch.nn.Module, size: int) -> np.ndarray:
    """torchvision's default boxes, cx cy w h as fractions."""
    was_training = whole.training
    whole.eval()
    with torch.no_grad():
        images = torch.zeros(1, 3, size, size)
        features = list(whole.backbone(images).values())
        corners = whole.anchor_generator(ImageList(images, [(size, size)]), features)[0] / size
    whole.train(was_training)
    centres = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
    return centres.numpy().astype(np.float32)
