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

"""Selects the images of a split: by flags, then at random up to the limits, with a fixed seed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from edgecam_training.data.open_images.tables import TableBox

Chosen = dict[str, list[TableBox]]
"""Boxes by image id."""


@dataclass(frozen=True)
class Criteria:
    """What to download; 0 = unlimited. ``groups_as_objects``: boxes around groups are ordinary boxes, not crowds."""

    classes: tuple[str, ...]
    splits: tuple[str, ...] = ("train", "val", "test")
    max_images: int = 0
    max_per_class: int = 0
    depictions: bool = True
    groups: bool = True
    occluded: bool = True
    groups_as_objects: bool = False
    seed: int = 0


def matching(found: Iterable[TableBox], criteria: Criteria) -> Chosen:
    """The images and boxes that the flags allow, in the order of the table."""
    by_image: Chosen = defaultdict(list)
    for box in found:
        kept = (criteria.depictions or not box.depiction) and (criteria.groups or not box.group)
        if kept and (criteria.occluded or not box.occluded):
            by_image[box.image].append(box)
    return dict(by_image)


def choose(found: Iterable[TableBox], criteria: Criteria) -> Chosen:
    """Boxes by image id, ids sorted.

    With limits, the rarest class comes first, so that common classes do not use up the limit. With ``max_per_class`` an
    image is taken while any of its classes still needs boxes.
    """
    by_image = matching(found, criteria)
    if not criteria.max_images and not criteria.max_per_class:
        return dict(sorted(by_image.items()))
    return {name: by_image[name] for name in sorted(_limited(by_image, criteria))}


def _limited(by_image: Chosen, criteria: Criteria) -> list[str]:
    queues: dict[str, list[str]] = defaultdict(list)
    for name in sorted(by_image, key=lambda name: _rank(criteria.seed, name)):
        for code in {box.code for box in by_image[name]}:
            queues[code].append(name)
    have: Counter[str] = Counter()
    taken: dict[str, None] = {}
    most = criteria.max_images or len(by_image)
    while len(taken) < most and queues:
        code = min(queues, key=lambda code: (have[code], code))
        if not queues[code] or (criteria.max_per_class and have[code] >= criteria.max_per_class):
            del queues[code]
            continue
        name = queues[code].pop(0)
        if name not in taken:
            taken[name] = None
            have.update(box.code for box in by_image[name])
    return list(taken)


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
