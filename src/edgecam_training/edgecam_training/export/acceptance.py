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

"""The acceptance check: an INT8 file is written only if its accuracy loss is within the limit.

Otherwise the most sensitive convolutions are returned to float, more in each round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecam_core import cache
from edgecam_training.data.dataset import Dataset
from edgecam_training.errors import ExportError
from edgecam_training.export.quantize import Ranges, quantize, sensitivity

LEAST_REFERENCE = 0.05  # mAP of the float model
_SHARES = (0.1, 0.2, 0.35, 0.5)  # of all convolutions, kept in float, round by round


@dataclass(frozen=True)
class Passed:
    """``drop`` in mAP points (0..100), ``kept`` convolutions in float."""

    reference: float
    quantised: float
    drop: float
    kept: tuple[str, ...]


def check_images(scored: Dataset, least: int) -> None:
    """Raise ExportError if too few images of a split have a box that counts."""
    count = sum(bool((~sample.difficult).any()) for sample in scored.samples)
    if count < least:
        raise ExportError(
            f"the split '{scored.samples[0].split}' has {count} images with boxes; the acceptance check of INT8 needs "
            f"{least}. Take another --split, or accept a weak check with --acceptance-images {count}"
        )


def accept_int8(
    ranges: Ranges,
    path: Path,
    reference: float,
    score: Callable[[Path], float],
    most_drop: float,
    probe: Sequence[np.ndarray],
    tell: Callable[[str], None],
) -> Passed:
    """Write the first file that loses no more than ``most_drop``.

    Args:
        reference: mAP (0..1) of the float model.
        score: returns the mAP (0..1) of a file; called once per round.
        most_drop: largest loss in mAP points.
        probe: inputs for the sensitivity measurement.

    Raises:
        ExportError: the mAP of the float model is too low to measure a loss, or the loss is too large even with half of
            the convolutions in float; there is no file at ``path``.
    """
    if not reference >= LEAST_REFERENCE:
        raise ExportError(
            f"{path.name}: the float model reaches only mAP {reference:.4f} on this split, too little to measure the "
            f"loss of INT8; the minimum is {LEAST_REFERENCE:g}. Are the class names, --rename and --split right?"
        )
    order: list[str] = []
    drop = float("inf")
    for share in (0.0, *_SHARES):
        if share and not order:
            tell("measuring the layers' sensitivity")
            order = sensitivity(ranges, probe)
        kept = tuple(order[: round(len(ranges.convolutions) * share)])
        trial = path.with_name(f".{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        cache.write(trial, quantize(ranges, keep=kept))
        try:
            got = score(trial)
        except BaseException:
            trial.unlink()
            raise
        drop = (reference - got) * 100
        tell(f"{len(kept)} of {len(ranges.convolutions)} layers in float: mAP {got:.4f}, {drop:+.2f} points lost")
        if drop <= most_drop:
            trial.replace(path)
            return Passed(reference, got, drop, kept)
        trial.unlink()
    raise ExportError(
        f"{path.name}: INT8 loses {drop:.2f} mAP points even with half of the layers in float; {most_drop:g} are "
        "allowed (--max-drop). More or better calibration images may help; FP16 is the safe choice"
    )
