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

"""Summarises a data set's contents and dropped boxes; refuses a data set if too many were dropped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from edgecam_training.data.checks import drop, read_image
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import ALLOWED, DROPPED
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError

UNDECODABLE = "image file damaged or cut short"


def lines(dataset: Dataset) -> list[str]:
    """Classes, used images and boxes of every split, then every finding."""
    text = [f"data set {dataset.root}: {len(dataset.classes)} classes, {', '.join(dataset.classes)}"]
    for split in dataset.counts():
        part = dataset.split(split)
        boxes, difficult = (
            int(part.boxes_per_class().sum()),
            sum(int(sample.difficult.sum()) for sample in part.samples),
        )
        regions = f" and {difficult} ignore regions" if difficult else ""
        text.append(f"used      {len(part.samples)} images with {boxes} boxes{regions} in '{split}'")
    if "train" in dataset.counts() and "val" not in dataset.counts():
        text.append("note      no images in 'val': nothing is scored while training")
    return text + dataset.findings.lines()


def dropped_share(dataset: Dataset) -> float:
    """The share of dropped boxes in percent."""
    dropped = dataset.findings.count(DROPPED, "boxes")
    kept = sum(len(sample.labels) for sample in dataset.samples)
    return 100.0 * dropped / max(1, dropped + kept)


def accept(dataset: Dataset, allowed: float = ALLOWED) -> Dataset:
    """The data set unchanged, if it is usable.

    Raises:
        DatasetError: more than ``allowed`` percent of the boxes were dropped, or none is left.
    """
    lost, share = dataset.findings.count(DROPPED, "boxes"), dropped_share(dataset)
    reasons = "; ".join(
        f"{row.count} {row.reason} (first {row.example})"
        for row in dataset.findings
        if (row.fate, row.item) == (DROPPED, "boxes")
    )
    if share > allowed:
        raise DatasetError(
            f"data set {dataset.root}: {lost} boxes, {share:.1f} %, were dropped and only {allowed:g} % are allowed: "
            f"{reasons}. Correct the annotations, or allow it with --allow-dropped {min(100, int(share) + 1)}"
        )
    if not any(len(sample.labels) for sample in dataset.samples):
        raise DatasetError(f"data set {dataset.root} has no box at all" + (f": {reasons}" if reasons else ""))
    return dataset


def without_broken(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """The data set without images that cannot be decoded. Decodes all images: minutes for large data sets."""
    broken, total = [], len(dataset.samples)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, decodes in enumerate(pool.map(_decodes, dataset.samples), start=1):
            if not decodes:
                broken.append(dataset.samples[number - 1])
            if progress and (number % 50 == 0 or number == total):
                progress(number, total)
    return without(dataset, broken)


def _decodes(sample: Sample) -> bool:
    pixels = read_image(sample.path)
    return pixels is not None and pixels.shape[1::-1] == (sample.width, sample.height)


def without(dataset: Dataset, broken: Sequence[Sample]) -> Dataset:
    """The data set without ``broken`` images, which are counted as dropped."""
    findings, broken_ids = dataset.findings.copy(), set(map(id, broken))
    for sample in broken:
        drop(findings, sample, UNDECODABLE)
    return replace(dataset, samples=tuple(s for s in dataset.samples if id(s) not in broken_ids), findings=findings)


def load_accepted(root: str, allowed: float = ALLOWED, tell: Callable[[str], None] = print) -> Dataset:
    """Load a data set, report what was changed or dropped, and refuse it if too much was dropped.

    Raises:
        DatasetError: see :func:`dataset.load` and :func:`accept`.
    """
    dataset = load(root)
    for line in dataset.findings.lines():
        tell(line)
    return accept(dataset, allowed)
