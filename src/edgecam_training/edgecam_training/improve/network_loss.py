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

"""The loss for training a whole network whose classes are independent sigmoids.

Labelled classes get SSD's multibox loss (Liu et al. 2016, section 2.2) with binary cross-entropy. Of the other classes
an image may hold unlabelled objects: there the network must repeat what it said before the training (Z. Li, D. Hoiem:
Learning without Forgetting, 2016; K. Shmelkov et al.: Incremental Learning of Object Detectors without Catastrophic
Forgetting, 2017), on the same augmented image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgecam_training.models.base import encode
from edgecam_training.models.loss import Targets, hard_negatives, match

LEAST_NEGATIVES = 10  # of an image with few or no objects
SURE = 0.3  # score from which a box of the network before the training is kept in place


@dataclass(frozen=True)
class Output:
    """(B, N, C) logits, column 0 = background, and (B, N, 4) corners as fractions of the image, float32."""

    logits: Tensor
    boxes: Tensor


def network_loss(now: Output, before: Output, targets: Targets, labelled: Tensor, priors: Tensor) -> Tensor:
    """The loss of a batch, a scalar; divided by the number of anchors with an object.

    Args:
        before: of the network before the training, for the same images; without gradients.
        targets: boxes of labelled classes, and ignore regions; labels are columns.
        labelled: (B, C) bool: in this image, every object of the class has a box.
        priors: (N, 4) cx cy w h as fractions.
    """
    offsets, old_offsets = encode(now.boxes, priors), encode(before.boxes, priors)
    columns = labelled[:, None, :]
    with torch.no_grad():
        labels, wanted = match(targets, priors)
        positive = labels > 0
        as_background = functional.softplus(now.logits).masked_fill(~columns, 0.0).amax(dim=2)
        as_background = as_background.masked_fill(~labelled.any(dim=1, keepdim=True), 0.0)
        chosen = positive | hard_negatives(as_background, labels, least=LEAST_NEGATIVES)
        objects = functional.one_hot(labels.clamp(min=0), now.logits.shape[2]).float()
        old = before.logits.sigmoid()
        sure = (old.masked_fill(columns, 0.0)[:, :, 1:].amax(dim=2) >= SURE) & ~positive
        # The least that the cross-entropy with the old scores can be: subtracted, so that no change costs nothing.
        least = functional.binary_cross_entropy_with_logits(before.logits, old, reduction="none")
        count = (positive | sure).sum().clamp(min=len(labels))
    learned = functional.binary_cross_entropy_with_logits(now.logits, objects, reduction="none")
    kept = functional.binary_cross_entropy_with_logits(now.logits, old, reduction="none") - least
    classes = (learned * (columns & chosen[:, :, None])).sum() + (kept * ~columns).sum()
    target = torch.where(positive[:, :, None], wanted, old_offsets)
    boxes = functional.smooth_l1_loss(offsets, target, reduction="none").sum(dim=2)
    return (classes + (boxes * (positive | sure)).sum()) / count
