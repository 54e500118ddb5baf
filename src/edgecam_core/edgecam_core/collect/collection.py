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

"""The collected data set on disk: plain files, valid after a power cut at any moment.

    collection.json            format and classes
    images/<camera>/<id>.jpg   the images
    frames/<id>.json           one file per kept frame: reason, time, camera, model, its detections as proposals
    reviews/<id>.json          one file per reviewed frame: the boxes as corrected by the reviewer
    proposals.json             all frames with the model's proposals, as COCO
    annotations/instances_reviewed.json   the reviewed frames, as COCO: the input of training

A frame exists if its file in ``frames/`` exists; that file is written last and removed first. The COCO files can be
rebuilt at any time. Several collectors may add frames at once; only the labelling page writes reviews.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from edgecam_core import cache
from edgecam_core.collect.records import (
    DRAFT,
    REVIEWED,
    SKIPPED,
    Box,
    CollectionError,
    KeptFrame,
    Review,
    ReviewConflict,
)

FORMAT, VERSION = "edgecam-collection", 1
_TEMPORARY_AGE = 60.0  # seconds
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class Collection:
    """A collection in a folder. Methods block on disk access. Safe between processes, not between threads."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser()
        self._in_use: IO[bytes] | None = None

    @classmethod
    def create(cls, root: Path) -> Collection:
        """Open the folder to add frames; create the collection if there is none. :meth:`close` it at the end.
        The remains of a crash are removed, unless another process is adding frames.

        Raises:
            CollectionError: the folder holds other files.
            CacheError: it cannot be written.
        """
        collection = cls(root)
        head = collection.root / "collection.json"
        if not head.is_file():
            if collection.root.is_dir() and any(collection.root.iterdir()):
                raise CollectionError(f"{collection.root} holds other files; use an empty or new folder")
            with cache.explained(collection.root):
                collection.root.mkdir(parents=True, exist_ok=True)
            collection._write(head, {"format": FORMAT, "version": VERSION, "classes": []})
        collection._head()
        with cache.explained(collection.root):
            for folder in ("images", "frames", "reviews", "annotations"):
                (collection.root / folder).mkdir(exist_ok=True)
        collection._in_use = cache.shared_lock(collection.root / ".lock", collection._sweep)
        return collection

    def close(self) -> None:
        """End adding frames; the collection can still be read."""
        if self._in_use is not None:
            self._in_use.close()

    @classmethod
    def open(cls, root: Path) -> Collection:
        """Open an existing collection. Raises CollectionError if there is none."""
        collection = cls(root)
        collection._head()
        return collection

    def _head(self) -> dict[str, Any]:
        if not (self.root / "collection.json").is_file():
            raise CollectionError(
                f"{self.root} is not a collection, it has no collection.json; give the folder of the collector, or of "
                "'edgecam dataset merge' or 'edgecam dataset import'"
            )
        head = _read(self.root / "collection.json")
        if head.get("format") != FORMAT or head.get("version") != VERSION:
            raise CollectionError(f"{self.root} is not an {FORMAT} of version {VERSION}")
        return head

    def _sweep(self) -> None:
        """Remove old temporary files, and images without a frame."""
        known = {self.root / frame.image for frame in self.frames()}
        stale = time.time() - _TEMPORARY_AGE  # newer ones may belong to a running labelling page
        for path in self.root.rglob(".*.*"):
            if path.is_file() and path.stat().st_mtime < stale:
                path.unlink(missing_ok=True)
        for path in (self.root / "images").rglob("[!.]*"):
            if path.is_file() and path not in known:
                path.unlink(missing_ok=True)

    # Classes

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list: first those set by the user, then all other labels in proposals and reviews, sorted."""
        named = [str(name) for name in self._head().get("classes", [])]
        labels = {box.label for frame in self.frames() for box in frame.proposals}
        labels |= {box.label for review in self.reviews(damaged=lambda _error: None) for box in review.boxes}
        return tuple(named + sorted(labels - set(named)))

    def set_classes(self, names: Iterable[str]) -> None:
        """Replace the class list; labels in use remain in :attr:`classes`."""
        self._write(self.root / "collection.json", {**self._head(), "classes": list(dict.fromkeys(names))})

    # Frames

    def ids(self) -> list[str]:
        """The ids of all frames, sorted."""
        return sorted(entry.name[:-5] for entry in _scan(self.root / "frames") if entry.name.endswith(".json"))

    def frames(self) -> Iterator[KeptFrame]:
        """All frames, sorted by id, except damaged ones and those that another process removes meanwhile."""
        for name in self.ids():
            try:
                yield self.frame(name)
            except CollectionError:
                continue

    def frame(self, name: str) -> KeptFrame:
        """One frame. Raises CollectionError if there is no frame with this id, or its file is damaged."""
        row = _read(self._path("frames", name))
        try:
            size = (int(row["width"]), int(row["height"]))
            row["proposals"] = tuple(Box.parse(box, size) for box in row["proposals"])
            row["rules"] = tuple(row["rules"])
            return KeptFrame(**row)
        except (KeyError, TypeError, ValueError) as error:
            raise CollectionError(f"{self._path('frames', name)} is damaged: {error}") from error

    def image_path(self, frame: KeptFrame) -> Path:
        """The path of the image. Raises CollectionError for a path outside the collection."""
        path = (self.root / frame.image).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise CollectionError(f"frame {frame.id}: image {frame.image!r} lies outside the collection")
        return path

    def stored_image(self, frame: KeptFrame) -> Path:
        """As :meth:`image_path`, for an image that is read. Raises CollectionError if it no longer exists."""
        path = self.image_path(frame)
        if not path.is_file():
            raise CollectionError(
                f"the image of frame {frame.id}, {path}, no longer exists; put it back, or delete "
                f"frames/{frame.id}.json of the collection, too"
            )
        return path

    def add(self, frame: KeptFrame, image: bytes) -> KeptFrame:
        """Store a frame with its encoded image; returns the frame with its size in bytes.

        Raises:
            CacheError: the disk is full or not writable; nothing of the frame remains.
        """
        path = self.image_path(frame)
        with cache.explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        cache.write(path, image)
        frame = replace(frame, bytes=len(image))
        try:
            self._write(self._path("frames", frame.id), asdict(frame))
        except cache.CacheError:
            path.unlink(missing_ok=True)
            raise
        return frame

    def remove(self, name: str) -> None:
        """Delete a frame, its image and its review."""
        try:
            image = self.image_path(self.frame(name))
        except CollectionError:
            image = None
        self._path("frames", name).unlink(missing_ok=True)
        self._path("reviews", name).unlink(missing_ok=True)
        if image is not None:
            image.unlink(missing_ok=True)

    # Reviews

    def is_reviewed(self, name: str) -> bool:
        """Whether the frame has a review, which may be a draft."""
        return self._path("reviews", name).is_file()

    def reviews(self, damaged: Callable[[CollectionError], None] | None = None) -> Iterator[Review]:
        """All reviews whose frame exists, sorted by id.

        Args:
            damaged: called for each damaged file, which is then left out; without it, the error is raised.
        """
        frames = set(self.ids())
        for entry in sorted(_scan(self.root / "reviews"), key=lambda entry: entry.name):
            name = entry.name[:-5]
            try:
                if name in frames and (review := self.review(name)) is not None:
                    yield review
            except CollectionError as error:
                if damaged is None:
                    raise
                damaged(error)

    def review(self, name: str) -> Review | None:
        """The review of a frame; None if there is none. Raises CollectionError if its file is damaged."""
        path = self._path("reviews", name)
        if not path.is_file():
            return None
        row = _read(path)
        try:
            size = self.frame(name).size
            boxes = tuple(Box.parse(box, size) for box in row["boxes"])
            return Review(name, row["state"], boxes, row["reviewer"], int(row["revision"]), int(row["reviewed_ns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CollectionError(f"{path} is damaged: {error}") from error

    def save_review(self, review: Review) -> Review:
        """Store a review that is based on revision ``review.revision`` (0: no review); returns it with the next number.

        Storing the same review twice is no conflict: a browser repeats a request if it misses the answer. A damaged
        review is kept as ``<id>.json.damaged`` and counts as none.

        Raises:
            ReviewConflict: the stored review has another revision.
            CollectionError: there is no such frame, or the state is unknown.
            CacheError: it cannot be written.
        """
        if review.state not in (REVIEWED, SKIPPED, DRAFT):
            raise CollectionError(f"state '{review.state}' must be {REVIEWED}, {SKIPPED} or {DRAFT}")
        self.frame(review.id)
        with cache.lock(self.root / "reviews" / ".lock"):
            try:
                current = self.review(review.id)
            except CollectionError:
                current, path = None, self._path("reviews", review.id)
                with cache.explained(path):
                    path.replace(path.with_name(f"{path.name}.damaged"))
            saved = replace(review, revision=review.revision + 1)
            if current is not None and replace(current, reviewed_ns=saved.reviewed_ns) == saved:
                return current
            if current is not None and current.revision != review.revision:
                raise ReviewConflict(current)
            self._write(self._path("reviews", review.id), asdict(saved))
        return saved

    # Files

    def _path(self, folder: str, name: str) -> Path:
        if not _ID.fullmatch(name):
            raise CollectionError(f"'{name[:80]}' is not a frame id")
        return self.root / folder / f"{name}.json"

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        cache.write(path, (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode())


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CollectionError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise CollectionError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CollectionError(f"{path} must hold a JSON object")
    return content
