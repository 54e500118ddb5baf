"""A data set in memory: images, their boxes, the class list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edgecam_training.data.checks import tidy
from edgecam_training.errors import DatasetError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One image.

    ``boxes`` is (N, 4) float32, x1 y1 x2 y2 in pixels; ``labels`` (N,) int64, an index into the data set's classes.
    ``difficult`` (N,) bool marks boxes that evaluation neither asks for nor punishes (VOC "difficult", COCO
    "iscrowd", Open Images "group of"). ``facts`` travel with the image: id, sha256, licence, author, source.
    """

    path: Path
    width: int
    height: int
    split: str
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
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
        **facts: Any,
    ) -> Sample:
        """From plain lists; ``size`` is (width, height)."""
        labels = np.array(list(labels), np.int64).reshape(-1)
        flags = np.zeros(len(labels), bool) if difficult is None else np.array(list(difficult), bool)
        corners = np.array([list(box) for box in boxes], np.float32).reshape(-1, 4)
        return cls(path, *size, split, corners, labels, flags, facts)

    def keep(self, rows: np.ndarray) -> Sample:
        """A copy with only these boxes (indices or a mask)."""
        return replace(self, boxes=self.boxes[rows], labels=self.labels[rows], difficult=self.difficult[rows])


@dataclass(frozen=True)
class Dataset:
    """Images of all splits. ``classes`` are names without the background; ``notes`` what reading it repaired."""

    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: dict[str, int] = field(default_factory=dict)

    def split(self, name: str) -> Dataset:
        """Only one split.

        Raises:
            DatasetError: it is empty; the text lists those that are not.
        """
        chosen = tuple(sample for sample in self.samples if sample.split == name)
        if not chosen:
            there = ", ".join(f"{key} ({count})" for key, count in self.counts().items()) or "none"
            raise DatasetError(f"{self.root}: the split '{name}' is empty; there are {there}")
        return replace(self, samples=chosen)

    def counts(self) -> dict[str, int]:
        """Images per split that has any, in the usual order."""
        names = [sample.split for sample in self.samples]
        order = [*SPLITS, *sorted(set(names) - set(SPLITS))]
        return {name: names.count(name) for name in order if name in names}

    def boxes_per_class(self) -> np.ndarray:
        """(classes,) boxes that count, without difficult ones."""
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
                f"{self.root} has boxes of {', '.join(missing)}, which the model does not know: {', '.join(classes)}"
            )
        table = np.array([classes.index(name) if name in classes else -1 for name in self.classes], np.int64)
        samples = tuple(replace(sample, labels=table[sample.labels]) for sample in self.samples)
        return replace(self, classes=classes, samples=samples)


# Name -> module with fits(root) and read(root), in the order they are tried.
LAYOUTS = {
    "edgecam": "edgecam_training.data.manifest",
    "coco": "edgecam_training.data.coco",
    "voc": "edgecam_training.data.voc",
    "yolo": "edgecam_training.data.yolo",
}


def load(root: str | Path, layout: str = "auto") -> Dataset:
    """Read a data set of any layout and repair its boxes (see ``notes``). Images are not decoded (but for YOLO).

    Raises:
        DatasetError: nothing there, no layout fits, or the one that fits is damaged.
    """
    root = Path(root).expanduser()
    if not root.exists():
        raise DatasetError(f"data set '{root}': there is no such folder or file")
    for name, module in LAYOUTS.items():
        if layout == name or (layout == "auto" and import_module(module).fits(root)):
            dataset: Dataset = import_module(module).read(root)
            if not dataset.samples:
                raise DatasetError(f"data set '{root}' ({name}) lists no image")
            return tidy(dataset)
    raise DatasetError(
        f"data set '{root}' has no known layout; known are a manifest.jsonl, a COCO annotations/ folder, "
        "a Pascal VOC Annotations/ folder, and a YOLO data.yaml"
    )
