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

"""Checks of model outputs. What contradicts the layout is refused; without a check it would become wrong boxes."""

from __future__ import annotations

import numpy as np

from edgecam_core.errors import InferenceError
from edgecam_core.models.family import Candidates

_MIN_SCORE, _MAX_SCORE = -0.05, 1.05  # allows for the rounding of int8 and fp16
_MAX_FRACTION = 10.0  # a box may lie mostly outside the image
_MIN_PIXELS, _MIN_SIZE = 1.5, 32


def check_numbers(values: np.ndarray) -> None:
    """Raise InferenceError if a value is NaN or infinite: the precision broke the model, the image is not empty."""
    _check_highest(values.max(initial=0.0))


def _check_highest(value: float) -> None:
    if not value < np.inf:  # false for NaN too
        raise InferenceError(
            "the model's scores are not numbers (NaN or infinite); its precision may be too low for it"
        )


def check_logits(logits: np.ndarray) -> None:
    """Raise InferenceError if the class logits of all queries are not numbers, or are probabilities already."""
    check_numbers(logits)
    lowest, highest = logits.min(initial=np.inf), logits.max(initial=0.0)
    if lowest >= 0 and 0 < highest <= 1:
        raise InferenceError(
            f"the model's logits are between {lowest:.2g} and {highest:.2g}, so they are probabilities already; export "
            "it without its sigmoid or softmax"
        )


def check_probabilities(scores: np.ndarray) -> None:
    """Raise InferenceError unless all scores of an image, including the lowest, are between 0 and 1."""
    lowest, highest = scores.min(initial=0.0), scores.max(initial=0.0)
    _check_highest(highest)
    for score in (lowest, highest):
        if not _MIN_SCORE <= score <= _MAX_SCORE:
            raise InferenceError(
                f"the model returns a score of {score:.1f}, not a probability; export it with its softmax or sigmoid"
            )


def check_whole(classes: np.ndarray) -> None:
    """Raise InferenceError if the class of a final detection is not a whole number."""
    if (fractions := classes[~(classes == np.round(classes))]).size:
        raise InferenceError(
            f"the model reports class {fractions[0]:.4g}, which is not a whole number; its scores and classes may be "
            "exchanged"
        )


def valid_rows(count: float, rows: int) -> int:
    """The number of valid rows as an integer.

    Raises:
        InferenceError: it is not between 0 and ``rows``.
    """
    if not 0 <= count <= rows:
        raise InferenceError(f"the model reports {count:g} detections, but its outputs have {rows} rows")
    return int(count)


def class_numbers(values: np.ndarray, columns: int, has_background: bool = False) -> np.ndarray:
    """The classes of final detections as indices.

    Args:
        values: those of the rows above the threshold; unused rows may hold anything.
        has_background: class 0 is the background, which is never detected.

    Raises:
        InferenceError: a class that is not a whole number or has no label.
    """
    check_whole(values)
    classes = values.astype(np.intp)
    unknown = classes[(classes < has_background) | (classes >= columns)]
    if unknown.size and has_background and unknown[0] == 0:
        raise InferenceError(
            "the model reports class 0, but in its layout classes start at 1; if they start at 0, add the metadata "
            "edgecam.first_class = 0"
        )
    if unknown.size:
        raise InferenceError(
            f"the model reports class {int(unknown[0])}, but its labels name classes {int(has_background)} to "
            f"{columns - 1}; set labels that fit the model"
        )
    return classes


def check_candidates(found: Candidates, fractions: bool, size: tuple[int, int]) -> None:
    """Raise InferenceError if scores or boxes contradict the layout stated by the file.

    Args:
        fractions: boxes must be fractions of the network's input, else pixels of it.
        size: width and height of the network's input.
    """
    if not len(found.scores):
        return
    check_probabilities(found.scores)
    largest = float(np.abs(found.boxes).max())
    if not largest < np.inf:
        raise InferenceError("the model's boxes are not numbers (NaN or infinite); its precision may be too low for it")
    if fractions and largest > _MAX_FRACTION:
        rule = "must be fractions of the input"
    elif not fractions and largest <= _MIN_PIXELS and min(size) > _MIN_SIZE:
        rule = "must be pixels of the input"
    else:
        _check_corners(found.boxes)
        return
    raise InferenceError(f"the model returns box coordinates up to {largest:.4g}, but in its layout they {rule}")


def _check_corners(boxes: np.ndarray) -> None:
    """A single inverted box is noise; if most are inverted, the columns have another meaning or order."""
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if inverted.sum() * 2 > len(boxes):
        example = ", ".join(f"{value:.4g}" for value in boxes[inverted][0])
        raise InferenceError(
            f"the model returns boxes whose second corner is left of or above the first ({example}); its layout has "
            "x1 y1 x2 y2, or a centre and a positive size"
        )
