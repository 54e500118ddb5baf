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

"""Priors (default boxes) of SSD and the encoding of boxes relative to them, in NumPy. For training and inference.

Priors are (N, 4) float32: centre x, centre y, width, height, as fractions of the image. Layout and rounding are those
of pytorch-ssd, so that its checkpoints work here. Box encoding follows Liu et al., "SSD: Single Shot MultiBox Detector"
(2016), section 2.2, with the variances of the Caffe implementation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CENTER_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


@dataclass(frozen=True)
class PriorLevel:
    """One feature map: cells per side, stride and box sizes in input pixels, aspect ratios."""

    cells: int
    stride: float
    smallest: float
    largest: float
    ratios: tuple[float, ...] = (2.0, 3.0)

    def shapes(self) -> list[tuple[float, float]]:
        """(width, height) in pixels of each prior of a cell: small square, big square, each ratio and its inverse."""
        big = math.sqrt(self.smallest * self.largest)
        found = [(self.smallest, self.smallest), (big, big)]
        for ratio in self.ratios:
            root = math.sqrt(ratio)
            found += [(self.smallest * root, self.smallest / root), (self.smallest / root, self.smallest * root)]
        return found


# vision/ssd/config/mobilenetv1_ssd_config.py of pytorch-ssd: 3000 priors.
MOBILENET_V1_300 = (
    PriorLevel(19, 16, 60, 105),
    PriorLevel(10, 32, 105, 150),
    PriorLevel(5, 64, 150, 195),
    PriorLevel(3, 100, 195, 240),
    PriorLevel(2, 150, 240, 285),
    PriorLevel(1, 300, 285, 330),
)


def grid_priors(levels: Sequence[PriorLevel], size: int) -> np.ndarray:
    """All priors (N, 4) float32, clipped to 0..1: level by level, then row by row from the top left."""
    rows = []
    for level in levels:
        shapes = np.array(level.shapes()) / size
        steps = (np.arange(level.cells) + 0.5) * level.stride / size
        y, x = np.meshgrid(steps, steps, indexing="ij")
        centres = np.repeat(np.stack([x.ravel(), y.ravel()], 1), len(shapes), axis=0)
        rows.append(np.concatenate([centres, np.tile(shapes, (level.cells**2, 1))], axis=1))
    return np.clip(np.concatenate(rows), 0.0, 1.0).astype(np.float32)


def to_corners(boxes: np.ndarray) -> np.ndarray:
    """Convert boxes (..., 4) from cx cy w h to x1 y1 x2 y2."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def to_centres(boxes: np.ndarray) -> np.ndarray:
    """Convert boxes (..., 4) from x1 y1 x2 y2 to cx cy w h."""
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


def encode(
    boxes: np.ndarray, priors: np.ndarray, center: float = CENTER_VARIANCE, size: float = SIZE_VARIANCE
) -> np.ndarray:
    """The network outputs (N, 4) that decode to these boxes; boxes and priors are (N, 4) cx cy w h, not empty."""
    shift = (boxes[..., :2] - priors[..., :2]) / priors[..., 2:] / center
    return np.concatenate([shift, np.log(boxes[..., 2:] / priors[..., 2:]) / size], axis=-1)


def decode(
    offsets: np.ndarray, priors: np.ndarray, center: float = CENTER_VARIANCE, size: float = SIZE_VARIANCE
) -> np.ndarray:
    """The inverse of :func:`encode`: boxes (N, 4) cx cy w h."""
    shift = offsets[..., :2] * center * priors[..., 2:] + priors[..., :2]
    return np.concatenate([shift, np.exp(offsets[..., 2:] * size) * priors[..., 2:]], axis=-1)
