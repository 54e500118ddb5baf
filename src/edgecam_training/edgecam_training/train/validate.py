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

"""Validation during training: the validation split in large batches on the training device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from edgecam_training.data.dataset import Sample
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.evaluate.metrics import Found, GroundTruth, Scores, score
from edgecam_training.models.base import Normalisation, SsdModel
from edgecam_training.train.augment import plain

_LEAST_SCORE = 0.01
_CANDIDATES = 400  # per image, before suppression
_NMS_THRESHOLD = 0.5
_MOST = 100  # detections per image


def truth_of(sample: Sample) -> GroundTruth:
    """The annotations of a sample, for the metrics."""
    return GroundTruth(sample.boxes, sample.labels, sample.difficult, sample.crowd)


@torch.no_grad()
def validate(model: SsdModel, cache: ImageCache, batch: int = 64) -> Scores:
    """Score a network in eval mode; blocks for seconds. ``cache`` holds images of the network's own size."""
    device = next(model.parameters()).device
    found: list[Found] = []
    for start in range(0, len(cache), batch):
        images = cache.images[start : start + batch].to(device, non_blocking=True)
        logits, offsets = model(normalise(plain(images, model.size), model))
        sizes = [(sample.width, sample.height) for sample in cache.samples[start : start + batch]]
        found += choose(logits.softmax(dim=2), model.boxes(offsets).clamp(0, 1), sizes)
    return score(found, [truth_of(sample) for sample in cache.samples], model.columns - 1)


def validate_aside(model: SsdModel, cache: ImageCache) -> Scores:
    """As :func:`validate`, on a separate CUDA stream: does not wait for training steps queued after the call.

    ``model`` must have been created on the default stream.
    """
    device = next(model.parameters()).device
    if device.type != "cuda":
        return validate(model, cache)
    torch.cuda.set_device(device)  # each thread has its own
    aside = torch.cuda.Stream(priority=-1)
    aside.wait_stream(torch.cuda.default_stream())
    with torch.cuda.stream(aside):
        return validate(model, cache)


def normalise(pixels: Tensor, model: SsdModel) -> Tensor:
    """Normalise (B, 3, S, S) RGB pixels 0..255 for the network, channels last."""
    mean, std = _planes(model.normalisation, pixels.device)
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=16)
def _planes(how: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (how.mean, how.std))  # type: ignore[return-value]


def choose(scores: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Found]:
    """NMS of a whole batch: scores (B, N, columns), boxes (B, N, 4) as fractions; results in pixels of ``sizes``."""
    classes = scores.shape[2] - 1
    flat = scores[:, :, 1:].flatten(1)
    best, place = flat.topk(min(_CANDIDATES, flat.shape[1]), dim=1)
    image, column = torch.nonzero(best > _LEAST_SCORE, as_tuple=True)
    best, place = best[image, column], place[image, column]
    prior, label = place // classes, place % classes
    chosen = boxes[image, prior]
    kept = batched_nms(chosen, best, image * classes + label, _NMS_THRESHOLD)  # best first over all images
    table = (
        torch.cat([image[kept, None], label[kept, None], best[kept, None], chosen[kept]], dim=1).double().cpu().numpy()
    )
    found = []
    for number, size in enumerate(sizes):
        mine = table[table[:, 0] == number][:_MOST]
        pixels = mine[:, 3:].astype(np.float32) * np.array(size * 2, np.float32)
        found.append(Found(pixels, mine[:, 2].astype(np.float32), mine[:, 1].astype(np.int64)))
    return found
