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

"""Compares the detections of two models in one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from edgecam_core.models.nms import overlaps
from edgecam_core.types import Detection

MATCH = 0.5  # least intersection over union of two boxes of the same object


def compare(live: Iterable[Detection], other: Iterable[Detection]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Number of objects by label: found by both models, by ``live`` only, by ``other`` only.

    Greedy matching in the order of ``live`` (best score first): each object is paired with the unpaired one of its
    label that has the largest intersection over union, if that is at least MATCH.
    """
    unpaired = list(other)
    both: Counter[str] = Counter()
    live_only: Counter[str] = Counter()
    for detection in live:
        partner, overlap = _closest(detection, unpaired)
        if partner is not None and overlap >= MATCH:
            unpaired.remove(partner)
            both[detection.label] += 1
        else:
            live_only[detection.label] += 1
    return both, live_only, Counter(detection.label for detection in unpaired)


def _closest(detection: Detection, others: Iterable[Detection]) -> tuple[Detection | None, float]:
    """The detection of the same label with the largest intersection over union, and that overlap."""
    candidates = [other for other in others if other.label == detection.label]
    if not candidates:
        return None, 0.0
    found = overlaps(np.array(detection.box), np.array([candidate.box for candidate in candidates]))
    best = int(found.argmax())
    return candidates[best], float(found[best])
