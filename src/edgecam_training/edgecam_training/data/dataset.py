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

"""A data set in memory: images, their boxes and the class list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_training.data.findings import Findings
from edgecam_training.errors import DatasetError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One image.

    ``boxes`` is (N, 4) float32, x1 y1 x2 y2 in pixels; ``labels`` (N,) int64, an index into the data set's classes.
    ``difficult`` (N,) bool marks ignore regions: training takes no negatives there, evaluation neither requires nor
    penalises detections there. ``crowd`` (N,) bool marks those that cover many objects (COCO "iscrowd", Open Images
    "group of"); the others are one object that is hard to see (VOC "difficult"). A size of 0 x 0: the annotation states
    none. ``facts`` are metadata of the image: id, sha256, licence, author, source.
    """

    path: Path
    width: int
    height: int
    split: str
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        path: Path,
        size: tuple[int, int],
        split: str,
        boxes: Iterable[Iterable[float]],
        labels: Iterable[int],
        difficult: Iterable[bool] | None = None,
        crowd: Iterable[bool] | None = None,
        **facts: Any,
    ) -> Sample:
        """A sample from plain lists; ``size`` is (width, height). A crowd is also difficult.

        Raises:
            ValueError: a box that is not four numbers, or lists of different lengths.
        """
        labels = np.array(list(labels), np.int64).reshape(-1)
        hard, many = (
            np.zeros(len(labels), bool) if flags is None else np.array(list(flags), bool)
            for flags in (difficult, crowd)
        )
        rows = [list(box) for box in boxes]
        if any(len(row) != 4 for row in rows) or {len(rows), len(hard), len(many)} != {len(labels)}:
            raise ValueError(
                f"{len(rows)} boxes of four numbers need as many labels and flags, there are {len(labels)} labels, "
                f"{len(hard)} 'difficult' and {len(many)} 'crowd'"
            )
        corners = np.array(rows, np.float32).reshape(-1, 4)
        return cls(path, *size, split, corners, labels, hard | many, many, facts)

    def with_boxes_of(self, other: Sample) -> Sample:
        """A copy with the boxes of another sample of the same image appended."""
        return replace(
            self,
            boxes=np.concatenate([self.boxes, other.boxes]),
            labels=np.concatenate([self.labels, other.labels]),
            difficult=np.concatenate([self.difficult, other.difficult]),
            crowd=np.concatenate([self.crowd, other.crowd]),
        )

    def keep(self, rows: np.ndarray) -> Sample:
        """A copy with only these boxes (indices or a mask)."""
        return replace(
            self, boxes=self.boxes[rows], labels=self.labels[rows], difficult=self.difficult[rows],
            crowd=self.crowd[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """Images of all splits. ``classes`` excludes the background; ``findings`` lists what was changed while reading."""

    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    findings: Findings = field(default_factory=Findings)

    def split(self, name: str) -> Dataset:
        """Only one split.

        Raises:
            DatasetError: it is empty; the message lists the other splits.
        """
        chosen = tuple(sample for sample in self.samples if sample.split == name)
        if not chosen:
            splits = ", ".join(f"{key} ({count})" for key, count in self.counts().items()) or "none"
            raise DatasetError(f"{self.root}: the split '{name}' is empty; there are {splits}")
        return replace(self, samples=chosen)

    def counts(self) -> dict[str, int]:
        """Number of images per split, without empty splits, in the usual order."""
        names = [sample.split for sample in self.samples]
        order = [*SPLITS, *sorted(set(names) - set(SPLITS))]
        return {name: names.count(name) for name in order if name in names}

    def boxes_per_class(self) -> np.ndarray:
        """(classes,) number of boxes, without difficult ones."""
        counts = np.zeros(len(self.classes), np.int64)
        for sample in self.samples:
            np.add.at(counts, sample.labels[~sample.difficult], 1)
        return counts

    def with_classes(self, classes: tuple[str, ...]) -> Dataset:
        """The same images with labels renumbered to another class list.

        Raises:
            DatasetError: a class that has boxes here is not in the list.
        """
        if classes == self.classes:
            return self
        used = {int(label) for sample in self.samples for label in sample.labels}
        missing = [self.classes[label] for label in sorted(used) if self.classes[label] not in classes]
        if missing:
            raise DatasetError(
                f"{self.root} has boxes of {', '.join(missing)}, which the model does not have: {', '.join(classes)}"
            )
        table = np.array([classes.index(name) if name in classes else -1 for name in self.classes], np.int64)
        samples = tuple(replace(sample, labels=table[sample.labels]) for sample in self.samples)
        return replace(self, classes=classes, samples=samples)
