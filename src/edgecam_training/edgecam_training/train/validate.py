"""Accuracy while training: the validation split in big batches on the training device."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from edgecam_training.data.dataset import Sample
from edgecam_training.data.image_cache import ImageCache
from edgecam_training.evaluate.metrics import Found, Scores, Truth, score
from edgecam_training.models.base import Normalisation, SsdModel
from edgecam_training.train.augment import plain

_LEAST_SCORE = 0.01
_CANDIDATES = 400  # an image, before suppression
_NMS_THRESHOLD = 0.5


def truth_of(sample: Sample) -> Truth:
    return Truth(sample.boxes, sample.labels, sample.difficult, sample.crowd)


@torch.no_grad()
def validate(model: SsdModel, cache: ImageCache, batch: int = 64) -> Scores:
    """Score a network in eval mode; blocks for seconds. ``cache`` holds images of the network's own size."""
    device = next(model.parameters()).device
    found: list[Found] = []
    for start in range(0, len(cache), batch):
        images = cache.images[start : start + batch].to(device, non_blocking=True)
        logits, offsets = model(normalise(plain(images, model.size), model))
        scores, boxes = logits.softmax(dim=2), model.boxes(offsets).clamp(0, 1)
        for row in range(len(images)):
            sample = cache.samples[start + row]
            found.append(_choose(scores[row], boxes[row], (sample.width, sample.height)))
    return score(found, [truth_of(sample) for sample in cache.samples], model.columns - 1)


def normalise(pixels: Tensor, model: SsdModel) -> Tensor:
    """(B, 3, S, S) pixels 0..255 RGB to the network's input, channels last."""
    mean, std = _planes(model.normalisation, pixels.device)
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=16)
def _planes(how: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (how.mean, how.std))  # type: ignore[return-value]


def _choose(scores: Tensor, boxes: Tensor, size: tuple[int, int]) -> Found:
    flat = scores[:, 1:].flatten()
    best, place = flat.topk(min(_CANDIDATES, len(flat)))
    place, best = place[best > _LEAST_SCORE], best[best > _LEAST_SCORE]
    prior, label = place // (scores.shape[1] - 1), place % (scores.shape[1] - 1)
    kept = batched_nms(boxes[prior], best, label, _NMS_THRESHOLD)[:100]
    pixels = boxes[prior[kept]].cpu().numpy() * np.array(size * 2, np.float32)
    return Found(pixels, best[kept].cpu().numpy(), label[kept].cpu().numpy())
