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

"""SSD's matching and multibox loss (Liu et al. 2016, section 2.2), batched, without a loop over images.

As in pytorch-ssd: a prior is assigned the box with the largest IoU if that is at least 0.5; every box gets its best
prior; three negatives per positive are selected by their background loss; both sums are divided by the number of
positives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgecam_training.models.base import encode

IOU_THRESHOLD = 0.5
IGNORE = -1  # the label of an ignore region: its content is neither an object nor background
COVERED = 0.5  # a prior with at least this share in an ignore region is not a negative
NEGATIVES_PER_POSITIVE = 3


@dataclass(frozen=True)
class Targets:
    """Boxes of a batch, padded: ``boxes`` (B, M, 4) corners as fractions, ``labels`` (B, M) columns, 0 = padding,
    :data:`IGNORE` = an ignore region (crowd, group-of, difficult)."""

    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Losses:
    """Means per positive prior."""

    total: Tensor
    classes: Tensor
    boxes: Tensor


def pair_iou(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """(B, M, 4) with (N, 4), both corners, to (B, M, N) intersection over union, and share of the other's area."""
    low = torch.maximum(boxes[:, :, None, :2], others[None, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], others[None, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
    other = (others[:, 2:] - others[:, :2]).clamp(min=0).prod(dim=-1)
    union = (area[:, :, None] + other[None, None, :] - shared).clamp(min=1e-9)
    return shared / union, shared / other.clamp(min=1e-9)


def match(targets: Targets, priors: Tensor, threshold: float = IOU_THRESHOLD) -> tuple[Tensor, Tensor]:
    """The target class (B, N) int64 and offsets (B, N, 4) of each prior; class :data:`IGNORE`: no target.

    As in pytorch-ssd, the later of two boxes with the same best prior gets it. A prior without a box that lies at least
    half in an ignore region is ignored, as COCO's evaluation ignores detections in crowds.
    """
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)
    real = targets.labels > 0
    iou, covered = pair_iou(targets.boxes, corners)
    ignored = (covered.masked_fill((targets.labels != IGNORE)[:, :, None], 0.0) >= COVERED).any(dim=1)
    iou = iou.masked_fill(~real[:, :, None], -1.0)
    best_iou, best_box = iou.max(dim=1)
    best_prior = iou.argmax(dim=2)
    batch, most = targets.labels.shape
    # Padding writes to a column after the last prior. If several boxes match a prior, the largest index wins.
    place = torch.where(real, best_prior, torch.full_like(best_prior, len(priors)))
    number = torch.arange(most, device=place.device).expand(batch, most)
    forced = torch.full((batch, len(priors) + 1), -1, device=place.device, dtype=torch.int64)
    forced = forced.scatter_reduce(1, place, number, "amax")[:, :-1]
    best_box = torch.where(forced >= 0, forced, best_box)
    positive = (forced >= 0) | (best_iou >= threshold)
    labels = (
        torch.gather(targets.labels, 1, best_box).masked_fill(~positive, 0).masked_fill(ignored & ~positive, IGNORE)
    )
    boxes = torch.gather(targets.boxes, 1, best_box[:, :, None].expand(-1, -1, 4))
    # Priors without a target are encoded as themselves: their offsets are zero, never infinite.
    boxes = torch.where(positive[:, :, None], boxes, corners[None])
    return labels, encode(boxes, priors)


def hard_negatives(
    background_loss: Tensor, labels: Tensor, ratio: int = NEGATIVES_PER_POSITIVE, least: int = 0
) -> Tensor:
    """(B, N) bool: the negatives with the largest loss: ``ratio`` per positive of the image, at least ``least``."""
    positive = labels > 0
    count = (positive.sum(dim=1, keepdim=True) * ratio).clamp(min=least)
    ranked = background_loss.detach().masked_fill(labels != 0, float("-inf"))
    order = ranked.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return (rank < count) & (labels == 0)


def multibox_loss(logits: Tensor, offsets: Tensor, targets: Targets, priors: Tensor, smoothing: float = 0.0) -> Losses:
    """The loss of a batch, computed in float32 for any input type."""
    logits, offsets = logits.float(), offsets.float()
    with torch.no_grad():
        labels, target_offsets = match(targets, priors)
        positive = labels > 0
        background = -functional.log_softmax(logits, dim=2)[:, :, 0]
        chosen = positive | hard_negatives(background, labels)
    # Multiply by masks instead of indexing: sizes stay fixed and nothing waits for the device.
    target_classes = labels.clamp(min=0)  # ignored priors are not chosen
    per_prior = functional.cross_entropy(
        logits.transpose(1, 2), target_classes, reduction="none", label_smoothing=smoothing
    )
    classes = (per_prior * chosen).sum()
    boxes = (functional.smooth_l1_loss(offsets, target_offsets, reduction="none").sum(dim=2) * positive).sum()
    count = positive.sum().clamp(min=1)
    return Losses((classes + boxes) / count, classes / count, boxes / count)
