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

"""Makes annotations agree with their images: each mismatch is repaired or dropped, and recorded as a finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from edgecam_core.errors import ImageError
from edgecam_core.media import image_reader
from edgecam_core.media.image_header import image_size, is_jpeg, jpeg_is_complete
from edgecam_core.models.labels import is_background

from edgecam_training.data import orientation
from edgecam_training.data.box_order import refuse_other_order
from edgecam_training.data.dataset import Dataset, Sample
from edgecam_training.data.findings import Findings
from edgecam_training.data.image_files import Header, read_headers
from edgecam_training.data.orientation import CONTRADICTION, SCALE, TURN, UNKNOWN, UPRIGHT

_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
SMALLEST = 1.0  # pixels per side; a smaller box cannot be learned
FRACTIONS = "coordinates are fractions of the image, not pixels"
PIXELS = "coordinates are pixels, not fractions of the image"
MOST_FRACTION = 1.5  # a fraction may be a little above 1 by rounding or at the border; pixels are far above it
WRONG_SIZE = "annotation's image size contradicts the image"


def tidy(dataset: Dataset, layout: str) -> Dataset:
    """Compare every annotation with its image's header and repair the boxes; the findings list the changes.

    Sizes become those of the upright images and boxes turn with them. Images that are missing or contradict their
    annotation are dropped with their boxes. Corners are swapped where they are inverted, boxes clipped, empty ones
    dropped. Images without boxes stay, as background. ``layout`` is the name in ``loading.LAYOUTS``.

    Raises:
        DatasetError: the boxes evidently have another order than their format states.
    """
    findings = dataset.findings.copy()
    dataset = _without_background(dataset, findings)
    dataset = replace(dataset, samples=_joined(dataset.samples, findings))
    _compare_names(dataset.classes, findings)
    headers = list(read_headers([sample.path for sample in dataset.samples]))
    answers = [
        orientation.compare((sample.width, sample.height), header) if isinstance(header, Header) else header
        for sample, header in zip(dataset.samples, headers, strict=True)
    ]
    convention = _convention(answers)
    samples = []
    for sample, header, answer in zip(dataset.samples, headers, answers, strict=True):
        if not isinstance(header, Header) or answer == CONTRADICTION:
            drop(findings, sample, WRONG_SIZE if isinstance(header, Header) else header)
            continue
        samples.append(_placed(sample, header, answer, convention, findings))
    refuse_other_order(dataset.root, samples, layout)
    return replace(dataset, samples=tuple(tidy_boxes(sample, findings) for sample in samples), findings=findings)


def _without_background(dataset: Dataset, findings: Findings) -> Dataset:
    """Remove classes that name the background: a detector has its own, and would learn a second one as an object."""
    named = [label for label, name in enumerate(dataset.classes) if is_background(name)]
    if not named:
        return dataset
    findings.noted("classes", "that name the background (left out)", len(named), dataset.classes[named[0]])
    samples = []
    for sample in dataset.samples:
        rows = np.isin(sample.labels, named)
        findings.dropped("boxes", "of a class that names the background", int(rows.sum()), sample.path)
        samples.append(sample.keep(~rows))
    classes = tuple(name for name in dataset.classes if not is_background(name))
    return replace(dataset, samples=tuple(samples)).with_classes(classes)


def _joined(samples: Sequence[Sample], findings: Findings) -> tuple[Sample, ...]:
    """Join several entries of an image in a split: the boxes of one would be background for the other."""
    found: dict[tuple[str, Path], Sample] = {}
    splits: dict[Path, str] = {}
    for sample in samples:
        key = (sample.split, sample.path)
        if key in found:
            findings.repaired("images", "listed more than once: their boxes joined", 1, sample.path)
            sample = found[key].with_boxes_of(sample)
        if sample.split != splits.setdefault(sample.path, sample.split) and "train" in (
            sample.split,
            splits[sample.path],
        ):
            both = f"in both '{splits[sample.path]}' and '{sample.split}': scores are not meaningful"
            findings.noted("images", both, 1, sample.path)
        found[key] = sample
    return tuple(found.values())


def _compare_names(classes: Sequence[str], findings: Findings) -> None:
    by_word: dict[str, list[str]] = {}
    for name in classes:
        by_word.setdefault("".join(filter(str.isalnum, name.casefold())) or name, []).append(name)
    for names in by_word.values():
        findings.noted("classes", "that differ only in case or punctuation", len(names) * (len(names) > 1), names)


def drop(findings: Findings, sample: Sample, reason: str) -> None:
    """Count a dropped image and its boxes."""
    findings.dropped("images", reason, 1, sample.path)
    findings.dropped("boxes", reason, len(sample.labels), sample.path)


def _convention(answers: Sequence[str]) -> str:
    """How to read boxes of rotated images with an ambiguous size: as in the rest of the data set."""
    counts = Counter(answers)
    return TURN if counts[TURN] > counts[UPRIGHT] else UPRIGHT


def _placed(sample: Sample, header: Header, answer: str, convention: str, findings: Findings) -> Sample:
    """The sample with the upright image's size, its boxes moved there."""
    boxes = sample.boxes
    if answer == UNKNOWN:
        answer = convention
        if len(boxes):
            how = "as stored, like the rest of the set" if answer == TURN else "upright"
            findings.noted("images", f"rotated by EXIF, boxes read {how}", 1, sample.path)
    if answer == TURN and len(boxes):
        boxes = orientation.turn(boxes, header)
        findings.repaired("images", "rotated by EXIF: boxes rotated with the image", 1, sample.path)
    if answer == SCALE:
        factor = np.array(header.upright * 2) / np.array([sample.width, sample.height] * 2)
        boxes = (boxes * factor).astype(np.float32)
        findings.repaired("images", "annotated at another resolution: boxes scaled", 1, sample.path)
    width, height = header.upright
    return replace(sample, width=width, height=height, boxes=boxes)


def tidy_boxes(sample: Sample, findings: Findings) -> Sample:
    """Swap inverted corners, clip boxes to the image, drop empty boxes."""
    boxes = sample.boxes.copy()
    if not len(boxes):
        findings.noted("images", "without boxes, used as background", 1, sample.path)
        return sample
    numbers = np.isfinite(boxes).all(axis=1)
    boxes[~numbers] = 0
    inverted = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    ordered = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    clipped = np.clip(ordered, 0, np.array([sample.width, sample.height] * 2, np.float32))
    outside = np.abs(clipped - ordered).max(axis=1) > 1.0  # a pixel over the border is rounding, not a mistake
    outside_entirely = ((ordered[:, 2:] <= 0) | (ordered[:, :2] >= [sample.width, sample.height])).any(axis=1) & outside
    empty = ((clipped[:, 2:] - clipped[:, :2]) < SMALLEST).any(axis=1)
    fractions = empty & numbers & ((ordered[:, 2:] - ordered[:, :2]) > 0).all(axis=1) & (ordered.max(axis=1) <= 1.0)
    findings.repaired("boxes", "corners inverted: swapped", int((inverted & ~empty).sum()), sample.path)
    findings.repaired("boxes", "reach outside the image: clipped", int((outside & ~empty).sum()), sample.path)
    findings.dropped("boxes", "a coordinate is not a number", int((~numbers).sum()), sample.path)
    findings.dropped("boxes", FRACTIONS, int(fractions.sum()), sample.path)
    findings.dropped(
        "boxes", "wholly outside the image", int((outside_entirely & numbers & ~fractions).sum()), sample.path
    )
    small = empty & numbers & ~fractions & ~outside_entirely
    findings.dropped("boxes", "smaller than a pixel", int(small.sum()), sample.path)
    again = _repeated(sample) & ~empty
    findings.repaired("boxes", "duplicate box of the same class: used once", int(again.sum()), sample.path)
    kept = replace(sample, boxes=clipped).keep(~empty & ~again)
    findings.ignored("boxes", "difficult or crowd: not learned, not scored", int(kept.difficult.sum()), sample.path)
    return kept


def _repeated(sample: Sample) -> np.ndarray:
    """(N,) bool: boxes that repeat an earlier row."""
    rows = np.column_stack([sample.boxes, sample.labels, sample.crowd])
    first = np.unique(rows, axis=0, return_index=True)[1]
    return ~np.isin(np.arange(len(rows)), first)


def read_reduced(path: Path, least: int) -> tuple[np.ndarray, int] | None:
    """As :func:`read_image`, but at 1/2, 1/4 or 1/8 if both sides keep ``least`` pixels; returns the divisor, too.

    Scaling in the JPEG decoder saves most of the decoding time.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    size = image_size(data)
    divisor = next((d for d in _REDUCED if size and min(size) // d >= least), 1) if is_jpeg(data) else 1
    if divisor == 1 or not size or max(size) > image_reader.LARGEST_SIDE or not jpeg_is_complete(data):
        pixels = read_image(path)
    else:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[divisor])
    return None if pixels is None else (np.asarray(pixels), divisor)


def read_image(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR, upright; None if the file is missing, truncated, too large or not an image."""
    try:
        return image_reader.read_image(path)
    except ImageError:
        return None
