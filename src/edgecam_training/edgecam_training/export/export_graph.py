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

"""The exported network: inputs, outputs and precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecam_training.export.suppress import suppress
from edgecam_training.models.base import SsdModel, decode


class ExportGraph(nn.Module):
    """``input_0`` to ``scores`` (softmax) and ``boxes`` (corners as fractions), as in pytorch-ssd's exporter.

    ``uint8`` takes (B, 3, S, S) uint8 RGB and normalises in the graph. ``half`` computes the network in FP16 with
    float32 inputs and outputs; scores and boxes are always computed in float32. ``raw`` returns ``logits`` and
    ``offsets`` instead. ``nms`` above 0 is an IoU threshold: final detections come before ``scores`` and ``boxes``.
    """

    def __init__(
        self, model: SsdModel, *, half: bool = False, uint8: bool = False, raw: bool = False, nms: float = 0.0
    ) -> None:
        super().__init__()
        self.model = model.eval()
        self.half_precision, self.uint8, self.raw, self.nms = half, uint8, raw, nms
        # Before the network is converted to FP16: priors keep their precision.
        self.register_buffer("box_priors", model.priors.clone().float())
        self.register_buffer("mean", torch.tensor(model.normalisation.mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(model.normalisation.std).view(1, 3, 1, 1))
        if half:
            self.model.half()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.uint8:
            images = (images.float() - self.mean) * self.scale
        if self.half_precision:
            images = images.half()
        logits, offsets = self.model(images)
        logits, offsets = logits.float(), offsets.float()
        if self.raw:
            return logits, offsets
        scores, boxes = logits.softmax(dim=2), decode(offsets, self.box_priors)
        if self.nms:
            return *suppress(scores, boxes, self.nms, self.model.size), scores, boxes
        return scores, boxes
