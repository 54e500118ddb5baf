"""Label files, and the question whether their first line is the background."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecam_core.errors import SettingError

BACKGROUND = "BACKGROUND"


def read_labels(path: str | Path) -> tuple[str, ...]:
    """One label a line, in class order; empty lines at the end do not count.

    Raises:
        SettingError: no such file, not text, or empty.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"cannot be read ({error}); give a text file with one label a line"
        raise SettingError("labels", str(path), remedy) from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not any(lines):
        raise SettingError("labels", str(path), "holds no label; give a text file with one label a line")
    return tuple(lines)


def fit_labels(labels: Sequence[str], columns: int, has_background: bool, origin: str) -> tuple[str, ...]:
    """Labels such that ``labels[i]`` names score column ``i`` of a model with that many columns.

    A model with a background column takes a list with BACKGROUND first or without it, one without takes either as
    well: the count decides, not the spelling.

    Args:
        origin: the file the labels come from, for the message.

    Raises:
        SettingError: neither way fits the count.
    """
    labels = tuple(labels)
    starts_with_background = labels[0].casefold().strip("_ ") == BACKGROUND.casefold()
    if len(labels) == columns:
        if has_background and not starts_with_background:
            remedy = (
                f"has {columns} labels for {columns} columns, but its first, {labels[0]!r}, would name the background; "
                f"put {BACKGROUND} first and check the count"
            )
            raise SettingError("labels", origin, remedy)
        return labels
    if has_background and len(labels) == columns - 1 and not starts_with_background:
        return (BACKGROUND, *labels)
    if not has_background and len(labels) == columns + 1 and starts_with_background:
        return labels[1:]
    classes = columns - has_background
    wanted = f"{classes} labels, or {columns} with {BACKGROUND} first" if has_background else f"{classes} labels"
    remedy = f"has {len(labels)} labels, but the model has {classes} classes; give {wanted}"
    raise SettingError("labels", origin, remedy)


def numbered(columns: int, has_background: bool) -> tuple[str, ...]:
    """Names for a model that brings none: ``class 1``, ``class 2``, ..."""
    names = [f"class {index}" for index in range(columns)]
    return (BACKGROUND, *names[1:]) if has_background else tuple(names)
