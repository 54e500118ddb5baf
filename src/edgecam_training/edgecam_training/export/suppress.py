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

"""Non-maximum suppression with ordinary tensor operations, for graphs that output final detections.

TensorRT-RTX cannot build ONNX's NonMaxSuppression, because it is a loop. Instead, the IoU matrix is computed once, and
the rule "keep a box unless a kept box of the class with a higher score overlaps it" is applied in a fixed number of
rounds. The result equals greedy NMS if no chain of suppressions is longer than the number of rounds; in real images
chains are two or three boxes long.
"""

from __future__ import annotations

import numpy as np
import torch
from edgecam_core.models.nms import nms
from torch import Tensor

CANDIDATES = 200  # per image, as in pytorch-ssd
MOST = 100  # detections per image
LEAST_SCORE = 0.01
_ROUNDS = 12


def suppress(scores: Tensor, boxes: Tensor, threshold: float, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """NMS of scores (B, N, C), background first, and boxes (B, N, 4) x1 y1 x2 y2 as fractions.

    Returns:
        TensorRT's EfficientNMS layout: ``num_dets`` (B, 1) int32, ``det_boxes`` (B, K, 4) float32 pixels of an input
        of ``size``, ``det_scores`` (B, K), best first, 0 if there is none, ``det_classes`` (B, K) int32 from 0.
    """
    classes = scores.shape[2] - 1
    best, place = scores[:, :, 1:].flatten(1).topk(CANDIDATES, dim=1)
    prior = torch.div(place, classes, rounding_mode="trunc")
    label = place - prior * classes
    chosen = boxes.gather(1, prior[:, :, None].expand(-1, -1, 4))
    rivals = _overlap(chosen) > threshold
    rivals = rivals & (label[:, :, None] == label[:, None, :])
    above = torch.ones(CANDIDATES, CANDIDATES, device=scores.device).triu(1)  # row is better than column
    rivals = rivals.to(scores.dtype) * above
    fine = (best > LEAST_SCORE).to(scores.dtype)
    kept = fine
    for _ in range(_ROUNDS):
        beaten = torch.matmul(kept[:, None], rivals)[:, 0]
        kept = fine * (beaten < 0.5).to(scores.dtype)
    final, order = (best * kept).topk(MOST, dim=1)
    count = kept.sum(dim=1, keepdim=True).clamp(max=float(MOST)).to(torch.int32)
    # Clip after the suppression, as in pytorch-ssd and the detector.
    found = chosen.gather(1, order[:, :, None].expand(-1, -1, 4)).clamp(0.0, 1.0) * float(size)
    return count, found, final, label.gather(1, order).to(torch.int32)


def _overlap(boxes: Tensor) -> Tensor:
    """(B, K, K) intersection over union of boxes (B, K, 4)."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    extent = (high - low).clamp(min=0.0)
    shared = extent[..., 0] * extent[..., 1]
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return shared / (area[:, :, None] + area[:, None, :] - shared).clamp(min=1e-9)


def greedy(scores: np.ndarray, boxes: np.ndarray, threshold: float, size: int) -> tuple[np.ndarray, ...]:
    """The expected result of :func:`suppress` for one image, by the detector's own loop: boxes, scores, classes."""
    flat = scores[:, 1:].ravel()
    order = np.argsort(-flat, kind="stable")[:CANDIDATES]
    order = order[flat[order] > LEAST_SCORE]
    prior, label = np.divmod(order, scores.shape[1] - 1)
    chosen = boxes[prior]
    kept = nms(chosen, flat[order], label, threshold, MOST)
    return chosen[kept].clip(0, 1) * size, flat[order][kept], label[kept]
