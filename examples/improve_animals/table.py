"""Before and after: both models on photographs and frames that were not used for training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecam_core.types import Detections
from edgecam_training.improve.field import LabelledImage
from edgecam_training.improve.measure import Progress, detect, false_alarms, tuples
from edgecam_training.improve.statistics import ConfidenceInterval, compare, match

HEAD = ("test", "label", "boxes", "before", "after", "difference")


def rows(
    name: str, images: Sequence[LabelledImage], old: Path, new: Path, added: Sequence[str], progress: Progress
) -> list[tuple[str, ...]]:
    """A row per label, added labels first, and the mean of the known labels: AP in percent with 95 % intervals."""
    found = [detect(str(model), images, progress) for model in (old, new)]
    labels = sorted({label for one in images for label in one.labels}, key=lambda label: (label not in added, label))
    made = [_row(name, label, [label], images, found) for label in labels]
    known = [label for label in labels if label not in added]
    if known:
        made.append(_row(name, "all known", known, images, found))
    before, after = (false_alarms(one, images, added) for one in found)
    title = "wrong boxes of new labels per image at score 0.5"
    made.append((name, title, "", f"{before:.2f}", f"{after:.2f}", f"{after - before:.2f}"))
    return made


def _row(
    name: str, title: str, labels: Sequence[str], images: Sequence[LabelledImage], found: Sequence[Sequence[Detections]]
) -> tuple[str, ...]:
    old, new = ([match(tuples(one), images, label) for label in labels] for one in found)
    before, after, difference = compare(old, new, len(images))
    boxes = sum(int(one.boxes.sum()) for one in old)
    return (name, title, str(boxes), *(_text(one) for one in (before, after, difference)))


def _text(interval: ConfidenceInterval) -> str:
    return str(interval).replace("-0.0", "0.0")


def markdown(made: Sequence[tuple[str, ...]]) -> str:
    """The rows as a Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in (HEAD, *made)) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (HEAD, *made)
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
