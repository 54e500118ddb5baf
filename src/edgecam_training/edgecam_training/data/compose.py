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

"""Composes images from cut-outs on backgrounds: a data set with exact boxes from few source images.

Each image depends only on the seed and its number, so the same call produces the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from edgecam_core import cache
from edgecam_training.data import manifest
from edgecam_training.data.dataset import Sample
from edgecam_training.data.materials import SceneMaterial

_TRIES = 20
_MOST_OVERLAP = 0.3  # of the smaller of two boxes


@dataclass(frozen=True)
class CompositionPlan:
    """The composition of a data set. ``empty`` is the share of images without any object."""

    train: int = 3000
    val: int = 150
    held_out: int = 150
    width: int = 640
    height: int = 480
    empty: float = 0.12
    seed: int = 0


def compose(
    material: SceneMaterial, output: Path, plan: CompositionPlan, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write images and manifest; returns the manifest's path.

    Splits: ``train``; ``val`` (training cut-outs on new backgrounds); ``held-out`` (cut-outs not used for training, on
    new backgrounds); ``real`` (photographs). Existing images with the same bytes are not rewritten.
    """
    classes = list(material.cutouts)
    jobs = [("train", number) for number in range(plan.train)]
    jobs += [("val", number) for number in range(plan.val)]
    if any(material.held_out.values()):
        jobs += [("held-out", number) for number in range(plan.held_out)]
    for split in {name for name, _ in jobs}:
        (output / split).mkdir(parents=True, exist_ok=True)

    def compose_one(job: tuple[str, int]) -> Sample:
        return _image(material, classes, output, plan, *job)

    samples: list[Sample] = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for sample in pool.map(compose_one, jobs):
            samples.append(sample)
            if progress:
                progress(len(samples), len(jobs))
    return manifest.write(output, classes, [*samples, *_copy_photographs(material.real, output)])


def _image(
    material: SceneMaterial, classes: list[str], output: Path, plan: CompositionPlan, split: str, number: int
) -> Sample:
    rng = np.random.default_rng((plan.seed, ("train", "val", "held-out").index(split), number))
    pool = material.held_out if split == "held-out" else material.cutouts
    names = [name for name in classes if pool.get(name)]
    backgrounds = material.backgrounds if split == "train" else material.new_backgrounds
    canvas = _background(backgrounds, plan, rng)
    boxes: list[tuple[float, ...]] = []
    labels: list[int] = []
    hidden: list[tuple[float, ...]] = []
    for _ in range(int(rng.integers(0, 3)) if material.others else 0):
        box = _paste(canvas, material.others[int(rng.integers(len(material.others)))], hidden, rng)
        hidden += [box] if box else []
    count = 0 if rng.random() < plan.empty else int(rng.integers(1, 4))
    for _ in range(count):
        name = names[int(rng.integers(len(names)))]
        box = _paste(canvas, pool[name][int(rng.integers(len(pool[name])))], hidden + boxes, rng)
        if box:
            boxes.append(box)
            labels.append(classes.index(name))
    data = _encoded(canvas, rng)
    path = output / split / f"{number:05d}.jpg"
    digest = sha256(data).hexdigest()
    if not path.is_file() or cache.sha256(path) != digest:
        cache.write(path, data)
    return Sample.make(path, (plan.width, plan.height), split, boxes, labels, sha256=digest)


def _background(images: Sequence[np.ndarray], plan: CompositionPlan, rng: np.random.Generator) -> np.ndarray:
    """A random crop of a random background, stretched to the image's size."""
    image = images[int(rng.integers(len(images)))]
    height, width = image.shape[:2]
    share = rng.uniform(0.5, 1.0)
    w, h = int(width * share), int(height * min(1.0, share * rng.uniform(0.85, 1.15)))
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    crop = image[y : y + h, x : x + w]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return cv2.resize(np.ascontiguousarray(crop), (plan.width, plan.height), interpolation=cv2.INTER_AREA)


def _paste(
    canvas: np.ndarray, cutout: np.ndarray, earlier: Sequence[tuple[float, ...]], rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """Paste a transformed cut-out without covering too much of earlier ones; returns its box, or None without room."""
    height, width = canvas.shape[:2]
    pasted = _transformed(cutout, min(width, height) * rng.uniform(0.2, 0.85), rng)
    h, w = pasted.shape[:2]
    if h > height or w > width:
        factor = min(height / h, width / w) * 0.98
        pasted = cv2.resize(pasted, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        h, w = pasted.shape[:2]
    for _ in range(_TRIES):
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        if all(_overlap(other, (x, y, x + w, y + h)) < _MOST_OVERLAP for other in earlier):
            break
    else:
        return None
    alpha = pasted[:, :, 3:].astype(np.float32) / 255
    place = canvas[y : y + h, x : x + w]
    place[:] = (pasted[:, :, :3] * alpha + place * (1 - alpha)).astype(np.uint8)
    ys, xs = np.nonzero(pasted[:, :, 3] > 64)
    return (x + float(xs.min()), y + float(ys.min()), x + float(xs.max()) + 1, y + float(ys.max()) + 1)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection of two boxes as a share of the smaller one."""
    w = min(one[2], other[2]) - max(one[0], other[0])
    h = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(w, 0) * max(h, 0) / smaller


def _transformed(cutout: np.ndarray, side: float, rng: np.random.Generator) -> np.ndarray:
    """Scale a BGRA cut-out to ``side`` pixels, mirror, squeeze, rotate, recolour and blur it at random."""
    if rng.random() < 0.5:
        cutout = cutout[:, ::-1]
    factor = side / max(cutout.shape[:2])
    squeeze = rng.uniform(0.85, 1.15)
    size = (max(4, int(cutout.shape[1] * factor * squeeze)), max(4, int(cutout.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    small = cv2.resize(np.ascontiguousarray(cutout), size, interpolation=how)
    rotated = _rotated(small, rng.uniform(-12, 12))
    color = rotated[:, :, :3].astype(np.float32)
    color = (color - 127) * rng.uniform(0.7, 1.3) + 127 + rng.uniform(-35, 35)
    color *= rng.uniform(0.9, 1.1, 3)
    light = np.linspace(rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2), rotated.shape[0])
    color *= light[:, None, None]
    if rng.random() < 0.4:
        color = cv2.GaussianBlur(color, (0, 0), rng.uniform(0.4, 1.6)).astype(np.float32)
    alpha = cv2.GaussianBlur(rotated[:, :, 3], (0, 0), rng.uniform(0.4, 1.2))
    return np.dstack([np.clip(color, 0, 255).astype(np.uint8), alpha])


def _rotated(image: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate without clipping, then crop to the pixels that are not transparent."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    w, h = int(height * sin + width * cos) + 2, int(height * cos + width * sin) + 2
    matrix[0, 2] += w / 2 - width / 2
    matrix[1, 2] += h / 2 - height / 2
    full = cv2.warpAffine(image, matrix, (w, h), flags=cv2.INTER_LINEAR)
    ys, xs = np.nonzero(full[:, :, 3] > 64)
    if not len(ys):
        return image
    return full[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _encoded(canvas: np.ndarray, rng: np.random.Generator) -> bytes:
    """Add camera noise and encode as JPEG."""
    noise = rng.normal(0, rng.uniform(0, 5), (*canvas.shape[:2], 1))
    noisy = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    encoded, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 95))])
    assert encoded
    return data.tobytes()


def _copy_photographs(samples: Sequence[Sample], output: Path) -> list[Sample]:
    """Copy the photographs next to the composed images, so that the folder is complete."""
    found = []
    for sample in samples:
        target = output / sample.split / sample.path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        data = sample.path.read_bytes()
        cache.write(target, data)
        size = (sample.width, sample.height)
        digest = sha256(data).hexdigest()
        found.append(Sample.make(target, size, sample.split, sample.boxes, sample.labels, sha256=digest))
    return found
