"""Tiny synthetic data for the training tests: coloured shapes with exact boxes, no download."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from edgecam_training.data import manifest
from edgecam_training.data.dataset import Sample

CLASSES = ("disc", "square", "cross")
Shapes = tuple[np.ndarray, list[tuple[int, ...]], list[int]]


def shape_image(number: int, width: int = 160, height: int = 120) -> Shapes:
    """BGR image with one or two shapes, their boxes and classes; determined by the number."""
    chance = np.random.default_rng(number)
    image = chance.integers(60, 110, (height, width, 3), np.uint8)
    boxes: list[tuple[int, ...]] = []
    labels: list[int] = []
    for half in range(1 + number % 2):
        side = int(chance.integers(36, 60))
        x = int(chance.integers(2, width // 2 - side)) + half * width // 2
        y = int(chance.integers(2, height - side - 2))
        label = (number + half) % 3
        centre = (x + side // 2, y + side // 2)
        if label == 0:
            cv2.circle(image, centre, side // 2, (30, 40, 230), -1)
        elif label == 1:
            cv2.rectangle(image, (x, y), (x + side, y + side), (40, 220, 40), -1)
        else:
            cv2.line(image, (x, y), (x + side, y + side), (240, 60, 40), 6)
            cv2.line(image, (x + side, y), (x, y + side), (240, 60, 40), 6)
        boxes.append((x, y, x + side, y + side))
        labels.append(label)
    return image, boxes, labels


def write_shapes(root: Path, counts: dict[str, int]) -> Path:
    """A data set of shapes in edgecam's layout; splits get different images."""
    samples, number = [], 0
    for split, count in counts.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            image, boxes, labels = shape_image(number)
            path = root / split / f"{number:04d}.png"
            cv2.imwrite(str(path), image)
            samples.append(Sample.make(path, (160, 120), split, boxes, labels))
            number += 1
    manifest.write(root, CLASSES, samples)
    return root
