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

"""SSD's augmentations for a whole batch at once, on the device of the batch.

Zoom-out, IoU crop and flip are combined into one window per image, so pixels are sampled once. Brightness, contrast,
saturation and hue are one 3x4 colour matrix. Mosaic comes first. All random numbers are drawn on the CPU with a seed
that includes the step, so a step is identical on every device and after every restart.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from edgecam_training.models.loss import IGNORE, Targets

_TRIES = 16  # candidate crops per image
_LEAST_IOU = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
_GREY = 127.0
_LUMA = torch.tensor([0.299, 0.587, 0.114])
_IDENTITY = torch.eye(3)
_LEAST = torch.tensor(_LEAST_IOU)
# RGB to YIQ, in which hue is a rotation.
_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = torch.linalg.inv(_YIQ)


@dataclass(frozen=True)
class Augmentation:
    """Strength of each augmentation; 0 turns it off. ``zoom_out`` is the largest canvas in image sides; 1: off."""

    zoom_out: float = 2.5
    crop: float = 0.8
    flip: float = 0.5
    color: float = 0.5
    mosaic: float = 0.0


@lru_cache(maxsize=64)
def on(constant: Tensor, device: torch.device) -> Tensor:
    """A constant on a device, copied only once: copying it in each step would make the CPU wait for the GPU."""
    return constant.to(device)


def step_generator(seed: int, epoch: int, step: int, rank: int) -> torch.Generator:
    """A CPU generator that depends only on these numbers."""
    generator = torch.Generator()
    digest = hashlib.sha256(f"{seed} {epoch} {step} {rank}".encode()).digest()
    generator.manual_seed(int.from_bytes(digest[:7], "little"))
    return generator


def draw(batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All random numbers of a batch, on the CPU, uniform in 0..1: (B, 16), and (B, T, 4) for the candidate crops."""
    return torch.rand(batch, 16, generator=generator), torch.rand(batch, _TRIES, 4, generator=generator)


def augment(
    images: Tensor, targets: Targets, size: int, how: Augmentation, chance: Tensor, crops: Tensor
) -> tuple[Tensor, Targets]:
    """Augment a batch.

    Args:
        images: (B, S, S, 3) uint8 RGB.
        size: side of the result.
        chance, crops: from :func:`draw`, on the images' device.

    Returns:
        (B, 3, size, size) float32 pixels 0..255, and the boxes that remain in the image.
    """
    if how.mosaic:
        images, targets = _mosaic(images, targets, chance[:, 15] < how.mosaic)
    canvas = _zoom_out(chance, how)
    window = _crop(canvas, targets, chance, crops, how)
    flipped = chance[:, 4] < how.flip
    pixels = _sample(images, window, flipped, size)
    return _recolor(pixels, chance, how), _move(targets, window, flipped)


def plain(images: Tensor, size: int) -> Tensor:
    """Without augmentation: (B, S, S, 3) uint8 to (B, 3, size, size) float32 pixels."""
    pixels = images.permute(0, 3, 1, 2).float()
    if pixels.shape[-1] == size:
        return pixels
    return functional.interpolate(pixels, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _mosaic(images: Tensor, targets: Targets, chosen: Tensor) -> tuple[Tensor, Targets]:
    """Replace the ``chosen`` (B,) images by mosaics: the image and the next three of the batch, at half size."""
    side = images.shape[1]
    half = side // 2
    small = functional.interpolate(images.permute(0, 3, 1, 2).float(), (half, half), mode="area")
    small = small.round().to(torch.uint8).permute(0, 2, 3, 1)
    canvas = torch.full_like(images, int(_GREY))
    boxes, labels = [], []
    for place in range(4):
        row, column = divmod(place, 2)
        canvas[:, row * half : (row + 1) * half, column * half : (column + 1) * half] = small.roll(-place, 0)
        moved = torch.stack([targets.boxes[..., axis] + (row if axis % 2 else column) for axis in range(4)], dim=-1)
        boxes.append(moved.roll(-place, 0) * (half / side))
        labels.append(targets.labels.roll(-place, 0))
    # An unchanged image keeps its own boxes, followed by padding.
    alone = Targets(
        functional.pad(targets.boxes, (0, 0, 0, 3 * targets.boxes.shape[1])),
        functional.pad(targets.labels, (0, 3 * targets.labels.shape[1])),
    )
    return torch.where(chosen[:, None, None, None], canvas, images), Targets(
        torch.where(chosen[:, None, None], torch.cat(boxes, dim=1), alone.boxes),
        torch.where(chosen[:, None], torch.cat(labels, dim=1), alone.labels),
    )


def _zoom_out(chance: Tensor, how: Augmentation) -> Tensor:
    """(B, 4) window x y w h in image sides; larger than the image in half of the cases."""
    side = torch.where(chance[:, 0] < 0.5, 1 + chance[:, 1] * (how.zoom_out - 1), torch.ones_like(chance[:, 1]))
    return torch.stack([-(side - 1) * chance[:, 2], -(side - 1) * chance[:, 3], side, side], dim=1)


def _crop(canvas: Tensor, targets: Targets, chance: Tensor, crops: Tensor, how: Augmentation) -> Tensor:
    """The first candidate that overlaps a box enough and contains its centre; the canvas if there is none."""
    size = 0.3 + 0.7 * crops[..., :2]
    aspect = size[..., 0] / size[..., 1]
    corner = crops[..., 2:] * (1 - size)
    extent = canvas[:, None, 2:]
    low, size = canvas[:, None, :2] + corner * extent, size * extent
    high = low + size
    boxes, real = targets.boxes[:, None], (targets.labels > 0)[:, None]
    shared = (torch.minimum(high[:, :, None], boxes[..., 2:]) - torch.maximum(low[:, :, None], boxes[..., :2])).clamp(
        min=0
    )
    shared = shared.prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    iou = shared / (area + size.prod(dim=-1)[:, :, None] - shared).clamp(min=1e-9)
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    inside = ((centre > low[:, :, None]) & (centre < high[:, :, None])).all(dim=-1) & real
    least = on(_LEAST, chance.device)[(chance[:, 5] * len(_LEAST_IOU)).long()]
    best = iou.masked_fill(~inside, -1.0).amax(dim=2)
    fits = (best >= least[:, None]) & (aspect > 0.5) & (aspect < 2.0) & (chance[:, 6] < how.crop)[:, None]
    first = fits.float().argmax(dim=1)
    pick = torch.arange(len(first), device=first.device)
    window = torch.cat([low[pick, first], size[pick, first]], dim=1)
    return torch.where(fits.any(dim=1)[:, None], window, canvas)


def _sample(images: Tensor, window: Tensor, flipped: Tensor, size: int) -> Tensor:
    """The windows, bilinear, grey outside the image."""
    pixels = images.permute(0, 3, 1, 2).float() - _GREY
    steps = (torch.arange(size, device=window.device) + 0.5) / size
    across = torch.where(flipped[:, None], 1 - steps, steps)
    x = (window[:, 0, None] + window[:, 2, None] * across) * 2 - 1
    y = (window[:, 1, None] + window[:, 3, None] * steps) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + _GREY


def _move(targets: Targets, window: Tensor, flipped: Tensor) -> Targets:
    """Boxes in the window's coordinates; those whose centre left it, or that shrank to nothing, become padding.

    An ignore region is kept as long as any part of it is in the window.
    """
    origin, extent = window[:, None, :2].repeat(1, 1, 2), window[:, None, 2:].repeat(1, 1, 2)
    boxes = (targets.boxes - origin) / extent
    mirrored = torch.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], dim=-1)
    boxes = torch.where(flipped[:, None, None], mirrored, boxes)
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    inside = ((centre > 0) & (centre < 1)).all(dim=-1) | (targets.labels == IGNORE)
    boxes = boxes.clamp(0, 1)
    large = ((boxes[..., 2:] - boxes[..., :2]) > 0.01).all(dim=-1)
    return Targets(boxes, targets.labels.masked_fill(~(inside & large), 0))


def _recolor(pixels: Tensor, chance: Tensor, how: Augmentation) -> Tensor:
    """Apply one colour matrix per image; each part is used with probability ``how.color``."""
    happens = chance[:, 7:11] < how.color
    amount = chance[:, 11:15] * 2 - 1
    zero = torch.zeros_like(amount[:, 0])
    shift = torch.where(happens[:, 0], amount[:, 0] * 32, zero)
    contrast = 1 + torch.where(happens[:, 1], amount[:, 1] * 0.5, zero)
    saturation = 1 + torch.where(happens[:, 2], amount[:, 2] * 0.5, zero)
    angle = torch.where(happens[:, 3], amount[:, 3] * (math.pi / 10), zero)
    grey = on(_LUMA, pixels.device).expand(3, 3)
    identity = on(_IDENTITY, pixels.device)
    matrix = saturation[:, None, None] * identity + (1 - saturation)[:, None, None] * grey
    matrix = contrast[:, None, None] * (_hue(angle) @ matrix)
    mixed = torch.einsum("bij,bjhw->bihw", matrix, pixels) + shift[:, None, None, None]
    return mixed.clamp(0, 255)


def _hue(angle: Tensor) -> Tensor:
    """(B,) radians to (B, 3, 3) matrices on RGB."""
    turn = torch.zeros(len(angle), 3, 3, device=angle.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
    return on(_RGB, angle.device) @ turn @ on(_YIQ, angle.device)
