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

"""Labels from a file or from a model's metadata, with or without a background class."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path

from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.text_files import read_text

BACKGROUND = "BACKGROUND"
_BACKGROUNDS = ("background", "???")  # "???" is the background of TensorFlow's label maps


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read one label per line, in class order; empty lines at the end are ignored.

    Raises:
        SettingError: no such file, not text, or empty.
    """
    path = Path(path).expanduser()
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        remedy = f"cannot be read ({error}); use a text file with one label per line"
        raise SettingError("labels", str(path), remedy) from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not any(lines):
        raise SettingError("labels", str(path), "holds no label; use a text file with one label per line")
    return tuple(lines)


def metadata_labels(model: ModelFile) -> tuple[str, ...]:
    """The labels in a model's metadata, ``edgecam.labels`` or the Ultralytics exporter's ``names``; empty if none.

    Raises:
        ModelError: not a list, or class numbers that are not 0, 1, 2, ...
    """
    own = model.fact("labels")
    if own is not None and not isinstance(own, list | tuple | dict):
        raise ModelError(f"{model.path} has metadata edgecam.labels = {own!r}; it must be a JSON list of class names")
    found = own or _literal(model.metadata.get("names", ""))
    if isinstance(found, dict):
        found = _by_number(found, model)
    if not isinstance(found, list | tuple):
        return ()
    return tuple(str(label).strip("\ufeff \t\r\n") for label in found)


def _by_number(names: dict[object, object], model: ModelFile) -> list[object]:
    try:
        numbered = {int(str(number)): name for number, name in names.items()}
    except ValueError:
        numbered = {}
    if sorted(numbered) != list(range(len(names))):
        raise ModelError(
            f"{model.path} names its classes {', '.join(map(str, names))}; they must be numbered 0 to {len(names) - 1}"
        )
    return [numbered[number] for number in range(len(names))]


def _literal(text: str) -> object:
    """Parse a Python or JSON literal; None if the text is neither."""
    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text)  # type: ignore[operator, no-any-return]
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def starts_with_background(labels: Sequence[str]) -> bool:
    """Whether the first label names the background."""
    return bool(labels) and labels[0].casefold().strip("_ ") in _BACKGROUNDS


def score_columns(labels: Sequence[str], has_background: bool) -> int:
    """Number of score columns by these labels, for a model that does not state it; 0 without labels."""
    if not labels:
        return 0
    return len(labels) - starts_with_background(labels) + has_background


def fit_labels(labels: Sequence[str], columns: int, has_background: bool, origin: str) -> tuple[str, ...]:
    """One label per score column: BACKGROUND is added or removed at the front, as the number of columns requires.

    Args:
        labels: with or without BACKGROUND first.
        columns: number of score columns, including the background if ``has_background``.
        origin: the file of the labels, for the error.

    Raises:
        SettingError: the number of labels does not match.
    """
    labels = tuple(labels)
    background_first = starts_with_background(labels)
    if len(labels) == columns:
        if has_background and not background_first:
            remedy = (
                f"has {columns} labels for {columns} columns, but the first column is the background and the first "
                f"label is {labels[0]!r}; put {BACKGROUND} first and check the number of labels"
            )
            raise SettingError("labels", origin, remedy)
        return labels
    if has_background and len(labels) == columns - 1 and not background_first:
        return (BACKGROUND, *labels)
    if not has_background and len(labels) == columns + 1 and background_first:
        return labels[1:]
    classes = columns - has_background
    expected = f"{classes} labels, or {columns} with {BACKGROUND} first" if has_background else f"{classes} labels"
    remedy = f"has {len(labels)} labels, but the model has {classes} classes; use a file with {expected}"
    raise SettingError("labels", origin, remedy)


def numbered(columns: int, has_background: bool) -> tuple[str, ...]:
    """Labels for a model that has none: ``class 1``, ``class 2``, ..."""
    names = [f"class {index}" for index in range(columns)]
    return (BACKGROUND, *names[1:]) if has_background else tuple(names)
