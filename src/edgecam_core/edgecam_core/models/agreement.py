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

"""Comparing what two models found in one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edgecam_core.types import Detection

MATCH = 0.5  # intersection over union from which two boxes of a label are the same object


def compare(live: Iterable[Detection], other: Iterable[Detection]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Objects by label: found by both, by ``live`` alone, by ``other`` alone.

    Each object has at most one partner: the free one of its label with the largest intersection over union, of at
    least MATCH; ``live`` chooses in its order (best score first).
    """
    free = list(other)
    both: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for one in live:
        rivals = [candidate for candidate in free if candidate.label == one.label]
        partner = max(rivals, key=lambda candidate: overlap(one.box, candidate.box), default=None)
        if partner is not None and overlap(one.box, partner.box) >= MATCH:
            free.remove(partner)
            both[one.label] += 1
        else:
            alone[one.label] += 1
    return both, alone, Counter(one.label for one in free)


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union of two x1 y1 x2 y2 boxes; 0 where both are empty."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / union if union > 0 else 0.0
