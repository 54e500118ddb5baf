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

"""Converts data sets of other tools to reviews of a collection, and reviews to a data set."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from edgecam_core.collect import coco as collection_coco
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import DRAFT, REVIEWED, Box, KeptFrame, Review

from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.loading import load
from edgecam_training.errors import DatasetError
from edgecam_training.improve import field

IMPORT = "import"


def read_collection(root: Path, test_share: float = 0.3, gap_seconds: float = 2.0) -> Dataset:
    """The reviewed frames with the splits train and test, separated in time as ``edgecam improve`` does.

    Raises:
        CollectionError: not a collection, or a damaged review.
        DatasetError: there are no reviewed frames.
    """
    collection_coco.write(Collection.open(root))
    images = field.reviewed(root)
    if not images:
        raise DatasetError(f"no frame of {root} is reviewed; label some at /label first")
    dataset = load(root, "coco")
    _, test = field.split(images, test_share, gap_seconds)
    tested = {one.path.resolve() for one in test}
    samples = (replace(one, split="test" if one.path.resolve() in tested else "train") for one in dataset.samples)
    return replace(dataset, samples=tuple(samples))


def import_reviews(dataset: Dataset, root: Path, reviewer: str = IMPORT, again: bool = False) -> Counter[str]:
    """Store a data set's boxes as reviews; creates the collection if there is none.

    An image named like a frame of the collection becomes that frame's review, because it was exported from there; any
    other image becomes a new frame. Existing reviews are kept unless ``again`` is set. Images with difficult or crowd
    regions become drafts, because a person must label these regions.

    Returns:
        the number of "frames added", "reviews", "drafts", "already reviewed", "of another size".

    Raises:
        CollectionError, CacheError: the collection cannot be used or written; frames already stored are complete.
    """
    with contextlib.closing(Collection.create(root)) as collection:
        collection.set_classes([*collection.classes, *dataset.classes])
        present = set(collection.ids())
        counts: Counter[str] = Counter()
        for sample in dataset.samples:
            name = sample.path.stem
            if name not in present:
                name = _add_frame(collection, sample, dataset.root.resolve().name, present, counts)
            elif collection.frame(name).size != (sample.width, sample.height):
                counts["of another size"] += 1
                continue
            _save_review(collection, name, sample, dataset.classes, reviewer, again, counts)
        collection_coco.write(collection)
        return counts


def _add_frame(collection: Collection, sample: Sample, source: str, present: set[str], counts: Counter[str]) -> str:
    """Add an image as a frame with an unknown capture time (0); returns the frame's id."""
    data = sample.path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    name = f"{IMPORT}-{digest[:16]}"
    if name not in present:
        frame = KeptFrame(
            id=name,
            image=f"images/{IMPORT}/{name}{sample.path.suffix.lower().replace('jpeg', 'jpg')}",
            width=sample.width,
            height=sample.height,
            stamp_ns=0,
            frame_id="",
            camera=f"{IMPORT}/{source}",
            rules=({"rule": IMPORT, "value": 0},),
            proposals=(),
            kept_ns=time.time_ns(),
        )
        collection.add(frame, data)
        present.add(name)
        counts["frames added"] += 1
    return name


def _save_review(
    collection: Collection,
    name: str,
    sample: Sample,
    classes: tuple[str, ...],
    reviewer: str,
    again: bool,
    counts: Counter[str],
) -> None:
    existing = collection.review(name)
    if existing is not None and existing.state != DRAFT and not again:
        counts["already reviewed"] += 1
        return
    size = (sample.width, sample.height)
    boxes = tuple(
        Box.parse({"label": classes[label], "box": box}, size)
        for box, label in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True)
    )
    state = DRAFT if sample.difficult.any() else REVIEWED
    revision = existing.revision if existing is not None else 0
    collection.save_review(Review(name, state, boxes, reviewer, revision, time.time_ns()))
    counts["drafts" if state == DRAFT else "reviews"] += 1
