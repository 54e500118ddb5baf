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

"""Decides whether a new model may replace the live one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.statistics import ConfidenceInterval

LEAST_IMAGES = 10  # test images
LEAST_BOXES = 5  # boxes of a label, in each of training and test set


@dataclass(frozen=True)
class Verdict:
    """``passed``, and the reasons as sentences. ``enough`` is False if there is too little data for a verdict."""

    passed: bool
    enough: bool
    reasons: tuple[str, ...]


def missing_data(train: Sequence[LabelledImage], test: Sequence[LabelledImage], labels: Sequence[str]) -> list[str]:
    """The data still needed for a verdict, as sentences with numbers; empty if there is enough."""
    missing = []
    if len(test) < LEAST_IMAGES:
        missing.append(
            f"{LEAST_IMAGES - len(test)} more test frames ({len(test)} of {LEAST_IMAGES}; neighbouring frames "
            "stay in the same split)"
        )
    for name, images in (("training", train), ("test", test)):
        boxes = Counter(label for one in images for label in one.labels)
        for label in labels:
            if boxes[label] < LEAST_BOXES:
                short = LEAST_BOXES - boxes[label]
                missing.append(f"{short} more boxes of '{label}' in {name} frames ({boxes[label]} of {LEAST_BOXES})")
    return missing


def judge(
    missing: Sequence[str],
    difference: ConfidenceInterval,
    before: Mapping[str, float],
    after: Mapping[str, float],
    max_loss: float,
    false_alarms: tuple[float, float],
    max_false_alarms: float,
) -> Verdict:
    """The verdict.

    Args:
        missing: the result of :func:`missing_data`.
        difference: new minus old mean AP on the field test.
        before, after: AP by label on the old set; NaN without boxes.
        max_loss: the largest allowed drop (0..1) of a label on the old set.
        false_alarms: wrong boxes of the learned labels per field test image, of the old and of the new model.
        max_false_alarms: the largest allowed increase of ``false_alarms``.
    """
    if missing:
        return Verdict(False, False, tuple(f"needed: {text}" for text in missing))
    reasons = []
    better = difference.low > 0
    if not better:
        reasons.append(f"not shown to be better on the field test: {difference} points; the interval reaches zero")
    worse = []
    for label, value in before.items():
        loss = value - after.get(label, float("nan"))
        if math.isfinite(loss) and loss > max_loss:
            worse.append(f"'{label}' loses {100 * loss:.1f} points on the old set; {100 * max_loss:g} are allowed")
    old, new = false_alarms
    if new - old > max_false_alarms:
        worse.append(
            f"{new:.2f} wrong boxes of the learned labels per image at a score of 0.5, {old:.2f} before; "
            f"{max_false_alarms:g} more are allowed: label more frames, also some without these objects"
        )
    if better and not worse:
        reasons.append(f"better on the field test by {difference} points, no label of the old set loses too much")
    return Verdict(better and not worse, True, (*reasons, *worse))
