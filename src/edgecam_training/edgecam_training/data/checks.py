"""Boxes and images as they come, made usable: repaired with a note, or left out with a note."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from edgecam_training.data.dataset import Dataset, Sample

SMALLEST = 1.0  # pixels a side; anything less cannot be learned


def tidy(dataset: Dataset) -> Dataset:
    """Swap inverted corners, clip boxes to the image, drop empty ones; every kind is counted in ``notes``.

    Images without boxes stay: they teach and test silence.
    """
    notes: Counter[str] = Counter(dataset.notes)
    samples = tuple(_tidy_sample(sample, notes) for sample in dataset.samples)
    return replace(dataset, samples=samples, notes=dict(notes))


def _tidy_sample(sample: Sample, notes: Counter[str]) -> Sample:
    boxes = sample.boxes.copy()
    if not len(boxes):
        notes["images without boxes (kept)"] += 1
        return sample
    numbers = np.isfinite(boxes).all(axis=1)
    boxes[~numbers] = 0
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    clipped = np.clip(ordered, 0, np.array([sample.width, sample.height] * 2, np.float32))
    outside = np.abs(clipped - ordered).max(axis=1) > 1.0  # a pixel over the border is rounding, not a mistake
    empty = ((clipped[:, 2:] - clipped[:, :2]) < SMALLEST).any(axis=1)
    found = {
        "boxes with inverted corners (swapped)": inverted & ~empty,
        "boxes reaching outside the image (clipped)": outside & ~empty,
        "empty boxes (dropped)": empty,
    }
    for text, mask in found.items():
        if mask.any():
            notes[text] += int(mask.sum())
    return replace(sample, boxes=clipped).keep(~empty)


def read_image(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR, or None where the file is missing, cut short or no image.

    EXIF orientation is ignored: every annotation format counts pixels as stored.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if not whole(data):
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


def whole(data: bytes) -> bool:
    """Whether the file ends as its format must. Decoders fill a cut JPEG with grey and say nothing."""
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" in data[-4096:]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" in data[-16:]
    return len(data) > 0
