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

"""Data set statistics: contents, sizes, class balance, and warnings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from edgecam_core import cache
from edgecam_training.data.dataset import Dataset
from edgecam_training.data.findings import Findings

_BARS = 40


@dataclass(frozen=True)
class SplitStats:
    """One split: images, boxes per class (difficult ones excluded), and images without a box."""

    name: str
    images: int
    boxes: np.ndarray
    without: int


@dataclass(frozen=True)
class Stats:
    """Statistics of a data set. ``absent`` lists (split, class) pairs without a box; ``duplicates`` groups of identical
    files in several splits; ``sizes`` are square roots of the box area as a fraction of the image, ``aspects`` width /
    height."""

    classes: tuple[str, ...]
    splits: tuple[SplitStats, ...]
    absent: tuple[tuple[str, str], ...]
    duplicates: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]
    sizes: np.ndarray
    aspects: np.ndarray
    findings: Findings


def measure(dataset: Dataset) -> Stats:
    """Read every image once to hash it, without decoding; takes seconds for thousands of images."""
    splits, absent = [], []
    for name in dataset.counts():
        part = dataset.split(name)
        boxes = part.boxes_per_class()
        without = sum(not len(sample.labels) for sample in part.samples)
        splits.append(SplitStats(name, len(part.samples), boxes, without))
        absent += [(name, dataset.classes[number]) for number in np.flatnonzero(boxes == 0)]
    by_hash: dict[str, list[tuple[str, str]]] = defaultdict(list)
    missing = []
    for sample in dataset.samples:
        if sample.path.is_file():
            by_hash[cache.sha256(sample.path)].append((sample.split, str(sample.path)))
        else:
            missing.append(str(sample.path))
    duplicates = [tuple(p for _, p in group) for group in by_hash.values() if len({split for split, _ in group}) > 1]
    corners = np.concatenate([s.boxes / np.array([s.width, s.height] * 2, np.float32) for s in dataset.samples])
    pixels = np.concatenate([s.boxes for s in dataset.samples])
    size, shape = corners[:, 2:] - corners[:, :2], pixels[:, 2:] - pixels[:, :2]
    return Stats(
        dataset.classes, tuple(splits), tuple(absent), tuple(duplicates), tuple(missing),
        np.sqrt(size.prod(axis=1)), shape[:, 0] / shape[:, 1], dataset.findings,
    )  # fmt: skip


def text(stats: Stats) -> str:
    """Text for a terminal: a table per split, histograms, warnings."""
    lines = []
    for split in stats.splits:
        total = int(split.boxes.sum())
        lines += [f"'{split.name}' set", f"  Image count: {split.images} ({split.without} without a box)"]
        lines += [f"  Bounding box count: {total}", "  Bounding box distribution:"]
        for number in np.argsort(-split.boxes, kind="stable"):
            count = int(split.boxes[number])
            share = f"{count}/{total} = {count / total:.2f}" if count else "no data"
            lines.append(f"    {stats.classes[number]}: {share}")
        lines.append("")
    images = sum(split.images for split in stats.splits)
    lines += [f"Overall: {images} images, {sum(int(split.boxes.sum()) for split in stats.splits)} boxes", ""]
    lines += [
        "Box size (square root of the area, share of the image)",
        *histogram(stats.sizes, np.linspace(0, 1, 11)),
    ]
    edges = np.array([0, 0.25, 0.5, 0.75, 1, 1.33, 2, 4, np.inf])
    lines += ["", "Box aspect (width / height)", *histogram(stats.aspects, edges), ""]
    return "\n".join(lines + warnings(stats))


def warnings(stats: Stats) -> list[str]:
    """One line per warning."""
    lines = [f"warning: no box of {name} in '{split}': no data there, not AP 0" for split, name in stats.absent]
    lines += [f"warning: the same image in several splits: {', '.join(group)}" for group in stats.duplicates]
    if stats.missing:
        lines.append(f"warning: {len(stats.missing)} images are missing, first {stats.missing[0]}")
    for split in stats.splits:
        few = [stats.classes[i] for i in np.flatnonzero((split.boxes > 0) & (split.boxes < 10))]
        if split.name == "train" and few:
            lines.append(f"warning: fewer than 10 training boxes of {', '.join(few)}")
    return lines + stats.findings.lines()


def histogram(values: np.ndarray, edges: np.ndarray) -> list[str]:
    counts, _ = np.histogram(values, edges)
    most = max(int(counts.max()), 1) if len(counts) else 1
    return [
        f"  {low:5.2f} to {high:5.2f} {'#' * round(_BARS * count / most):<{_BARS}} {count}"
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
