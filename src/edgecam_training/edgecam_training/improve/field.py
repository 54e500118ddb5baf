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

"""Splits the reviewed frames of a collection into training and test images that are separated in time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED
from edgecam_core.errors import SettingError
from edgecam_core.media.image_reader import read_image

from edgecam_training.data.dataset import Dataset

SECOND = 1_000_000_000


@dataclass(frozen=True)
class LabelledImage:
    """An image with its boxes: (N, 4) float32 x1 y1 x2 y2 in pixels, and N labels. ``group`` is the camera.

    ``ignored``, (M, 4) as ``boxes``, are ignore regions: what is in them is neither an object nor background.
    ``known_size`` is width and height, (0, 0) if only the image file has them.
    """

    path: Path
    boxes: np.ndarray
    labels: tuple[str, ...]
    group: str = ""
    stamp_ns: int = 0
    ignored: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    known_size: tuple[int, int] = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; decodes the image if they are not known."""
        if all(self.known_size):
            return self.known_size
        height, width = self.pixels().shape[:2]
        return width, height

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR."""
        return read_image(self.path)


def reviewed(folder: Path) -> list[LabelledImage]:
    """All reviewed frames of a collection, ordered by camera and capture time, without skipped frames and drafts.

    Raises:
        CollectionError: the folder is not a collection, a review is damaged, or an image no longer exists.
    """
    collection = Collection.open(folder)
    images = []
    for review in collection.reviews():
        if review.state != REVIEWED:
            continue
        frame = collection.frame(review.id)
        boxes = np.array([box.box for box in review.boxes], np.float32).reshape(-1, 4)
        labels = tuple(box.label for box in review.boxes)
        path, size = collection.stored_image(frame), (frame.width, frame.height)
        images.append(LabelledImage(path, boxes, labels, frame.camera, frame.stamp_ns, known_size=size))
    return sorted(images, key=lambda one: (one.group, one.stamp_ns))


def from_dataset(dataset: Dataset) -> list[LabelledImage]:
    """The images of a data set; boxes marked difficult are ignore regions."""
    return [
        LabelledImage(
            sample.path,
            sample.boxes[~sample.difficult],
            tuple(dataset.classes[label] for label in sample.labels[~sample.difficult]),
            ignored=sample.boxes[sample.difficult],
            known_size=(sample.width, sample.height),
        )
        for sample in dataset.samples
    ]


def split(
    images: Sequence[LabelledImage], share: float = 0.3, gap_seconds: float = 2.0, test_cameras: Sequence[str] = ()
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split into training and test images that are never from neighbouring moments of a camera.

    With ``test_cameras``, the images of these cameras are the test set and all others the training set, which measures
    the accuracy at a new site. Otherwise each camera's frames are divided into runs at gaps of ``gap_seconds``, and
    each run goes to one side as a whole. An image without a capture time (0) is a separate run. Runs
    are assigned in order of time so that the test set has about ``share`` of each label's boxes.
    """
    if test_cameras:
        cameras = sorted({one.group for one in images})
        if unknown := sorted(set(test_cameras) - set(cameras)):
            raise SettingError(
                "test-camera",
                unknown[0],
                f"has no reviewed frame; cameras with reviewed frames are {', '.join(cameras)}",
            )
        train = [one for one in images if one.group not in test_cameras]
        return train, [one for one in images if one.group in test_cameras]
    all_runs = runs(images, gap_seconds)
    total = Counter(label for one in images for label in one.labels)
    tested: Counter[str] = Counter()
    train = []
    test: list[LabelledImage] = []
    for number, run in enumerate(all_runs):
        labels = Counter(label for one in run for label in one.labels)
        if labels:
            needed = max(share * total[label] - tested[label] - labels[label] / 2 for label in labels) > 0
        else:
            needed = number % round(1 / share) == 0
        # The first run with a label is for training: testing an untrained label is pointless.
        known = {label for one in train for label in one.labels}
        if needed and set(labels) <= known:
            test += run
            tested += labels
        else:
            train += run
    return train, test


def runs(images: Iterable[LabelledImage], gap_seconds: float) -> list[list[LabelledImage]]:
    """Divide each camera's images into runs at gaps of ``gap_seconds``; returns the runs in order of time.

    An image without a capture time (0) is a separate run.
    """
    by_group: dict[str, list[LabelledImage]] = defaultdict(list)
    for one in images:
        by_group[one.group].append(one)
    found: list[list[LabelledImage]] = []
    for members in by_group.values():
        members.sort(key=lambda one: one.stamp_ns)
        for before, one in zip([None, *members], members, strict=False):
            unknown = one.stamp_ns == 0  # an imported image without a capture time
            if before is None or unknown or one.stamp_ns - before.stamp_ns > gap_seconds * SECOND:
                found.append([])
            found[-1].append(one)
    return sorted(found, key=lambda run: run[0].stamp_ns)


def fingerprint(images: Iterable[LabelledImage]) -> str:
    """SHA-256 over images, boxes, labels and ignore regions."""
    digest = hashlib.sha256()
    for one in images:
        digest.update(hashlib.sha256(one.path.read_bytes()).digest())
        regions = [one.ignored.tolist()] if len(one.ignored) else []
        digest.update(json.dumps([one.boxes.tolist(), one.labels, *regions]).encode())
    return digest.hexdigest()
