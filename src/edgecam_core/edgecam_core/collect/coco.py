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

"""Writes a collection as COCO JSON (https://cocodataset.org/#format-data) and merges collections."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, Box, CollectionError, KeptFrame

PROPOSALS, ANNOTATIONS = Path("proposals.json"), Path("annotations/instances_reviewed.json")


def write(collection: Collection) -> None:
    """Rewrite both COCO files. Proposals are outside ``annotations/``, so that no training uses them by accident.

    Raises:
        CacheError: a file cannot be written.
    """
    frames = {frame.id: frame for frame in collection.frames()}
    names = collection.classes
    proposed = [(frame, frame.proposals) for frame in frames.values()]
    reviewed = [
        (frames[review.id], review.boxes)
        for review in collection.reviews()
        if review.state == REVIEWED and review.id in frames
    ]
    for path, rows in ((PROPOSALS, proposed), (ANNOTATIONS, reviewed)):
        text = json.dumps(document(rows, names), ensure_ascii=False) + "\n"
        cache.write(collection.root / path, text.encode())


def document(rows: Iterable[tuple[KeptFrame, Sequence[Box]]], classes: Sequence[str]) -> dict[str, Any]:
    """The COCO object: ``bbox`` is x y width height in pixels; ``file_name`` is relative to ``images/``.

    Images also have ``capture_stamp_ns`` (as text: it exceeds 2^53), ``frame_id``, ``camera``, ``model`` and ``rules``.
    """
    categories = {name: number for number, name in enumerate(classes, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (frame, boxes) in enumerate(rows, start=1):
        images.append(
            {
                "id": number,
                "file_name": frame.image.removeprefix("images/"),
                "width": frame.width,
                "height": frame.height,
                "frame": frame.id,
                "capture_stamp_ns": str(frame.stamp_ns),
                "frame_id": frame.frame_id,
                "camera": frame.camera,
                "model": frame.model,
                "rules": list(frame.rules),
            }
        )
        for one in boxes:
            x1, y1, x2, y2 = one.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[one.label],
                    "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), 2),
                    "iscrowd": 0,
                    **({"score": one.score} if one.score < 1 else {}),
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }


def merge(sources: Sequence[Path], target: Path) -> dict[str, int]:
    """Copy the frames and reviews of several collections into another one, which may exist.

    A frame that the target already has is not copied, but gets the review of the source if it has none.

    Returns:
        Numbers of frames "added" and "present", and of "reviews" copied.

    Raises:
        CollectionError: a source is not a collection, or the target is one of the sources.
        CacheError: the target cannot be written; the frames copied until then are complete.
    """
    collections = [Collection.open(source) for source in sources]
    if any(source.root.resolve() == target.expanduser().resolve() for source in collections):
        raise CollectionError(f"{target} is one of the sources; merge into another folder")
    with contextlib.closing(Collection.create(target)) as merged:
        return _merge(collections, merged)


def _merge(collections: Sequence[Collection], merged: Collection) -> dict[str, int]:
    merged.set_classes([*merged.classes, *(name for source in collections for name in source.classes)])
    counts = {"added": 0, "present": 0, "reviews": 0}
    present = set(merged.ids())
    for source in collections:
        for frame in source.frames():
            if frame.id in present:
                counts["present"] += 1
            else:
                merged.add(frame, source.stored_image(frame).read_bytes())
                present.add(frame.id)
                counts["added"] += 1
            review = source.review(frame.id)
            if review is not None and not merged.is_reviewed(frame.id):
                merged.save_review(replace(review, revision=0))
                counts["reviews"] += 1
    write(merged)
    return counts
