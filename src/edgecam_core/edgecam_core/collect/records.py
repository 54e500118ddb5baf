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

"""The records of a collection: kept frames, boxes and reviews."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgecam_core.errors import EdgecamError

REVIEWED, SKIPPED, DRAFT = "reviewed", "skipped", "draft"


class CollectionError(EdgecamError):
    """The folder is not a collection, or one of its files is unusable."""


class ReviewConflict(EdgecamError):
    """The review has changed since it was read; ``current`` is the stored one."""

    def __init__(self, current: Review) -> None:
        who = current.reviewer or "another reviewer"
        super().__init__(
            f"{who} has saved revision {current.revision} of this frame meanwhile; reload it and edit again"
        )
        self.current = current


@dataclass(frozen=True)
class Box:
    """One object. ``box`` is x1 y1 x2 y2 in pixels of the stored image; ``score`` is 1 for boxes drawn by hand."""

    label: str
    box: tuple[float, float, float, float]
    score: float = 1.0
    track_id: str = ""

    @classmethod
    def parse(cls, row: Any, size: tuple[int, int]) -> Box:
        """A box from JSON, clipped to an image of size (width, height).

        Raises:
            CollectionError: a field is missing or of the wrong type, or the box lies outside the image.
        """
        try:
            label, box = str(row["label"]).strip(), tuple(float(edge) for edge in row["box"])
            score = float(row.get("score", 1.0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CollectionError(f"a box must have 'label' and 'box' (x1, y1, x2, y2): {error}") from error
        if not label or len(label) > 200 or len(box) != 4:
            raise CollectionError("a box needs a label of 1 to 200 characters and four edges")
        x1, x2 = (min(max(box[i], 0.0), float(size[0])) for i in (0, 2))
        y1, y2 = (min(max(box[i], 0.0), float(size[1])) for i in (1, 3))
        if not (x2 > x1 and y2 > y1 and 0 <= score <= 1):
            raise CollectionError(f"box {list(box)} of '{label}' has no area within the {size[0]}x{size[1]} image")
        return cls(label, (x1, y1, x2, y2), score, str(row.get("track_id", "")))


@dataclass(frozen=True)
class KeptFrame:
    """The metadata of a kept frame.

    ``image`` is relative to the collection. ``rules`` are {"rule", "value"}, the most valuable rule first. ``value`` (0
    to 2) orders frames for review and deletion. ``model`` made the proposals ("name", "sha256"). ``hash`` is the
    perceptual hash, 16 hex digits. ``bytes`` is the size of the image file. ``kept_ns`` is wall-clock time.
    """

    id: str
    image: str
    width: int
    height: int
    stamp_ns: int
    frame_id: str
    camera: str
    rules: tuple[dict[str, Any], ...]
    proposals: tuple[Box, ...]
    model: dict[str, str] = field(default_factory=dict)
    hash: str = ""
    value: float = 0.0
    bytes: int = 0
    kept_ns: int = 0

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class Review:
    """The review of a frame by a person.

    ``state`` is REVIEWED (``boxes`` are complete), SKIPPED, or DRAFT (not finished). ``reviewed_ns`` is wall-clock
    time.
    """

    id: str
    state: str
    boxes: tuple[Box, ...] = ()
    reviewer: str = ""
    revision: int = 0
    reviewed_ns: int = 0
