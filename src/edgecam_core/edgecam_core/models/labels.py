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

"""Labels: from a file, from a model's metadata, and whether the first of them is the background."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path

from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.text_files import read_text

BACKGROUND = "BACKGROUND"
_BACKGROUNDS = ("background", "???")  # the latter is what TensorFlow's label maps have


def read_labels(path: str | Path) -> tuple[str, ...]:
    """One label a line, in class order; empty lines at the end do not count.

    Raises:
        SettingError: no such file, not text, or empty.
    """
    path = Path(path).expanduser()
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        remedy = f"cannot be read ({error}); use a text file with one label a line"
        raise SettingError("labels", str(path), remedy) from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not any(lines):
        raise SettingError("labels", str(path), "holds no label; use a text file with one label a line")
    return tuple(lines)


def metadata_labels(model: ModelFile) -> tuple[str, ...]:
    """The labels in a model's metadata, ``edgecam.labels`` or the Ultralytics exporter's ``names``; empty for none.

    Raises:
        ModelError: no list, or class numbers that do not count from 0 without a gap.
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
    """Python's or JSON's notation of a list or a dict; None for anything else."""
    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text)  # type: ignore[operator, no-any-return]
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def starts_with_background(labels: Sequence[str]) -> bool:
    return bool(labels) and labels[0].casefold().strip("_ ") in _BACKGROUNDS


def columns_named(labels: Sequence[str], has_background: bool) -> int:
    """How many score columns these labels name, for a model that does not state it; 0 for no labels."""
    if not labels:
        return 0
    return len(labels) - starts_with_background(labels) + has_background


def fit_labels(labels: Sequence[str], columns: int, has_background: bool, origin: str) -> tuple[str, ...]:
    """Labels such that ``labels[i]`` names score column ``i`` of a model with that many columns.

    A model with a background column takes a list with BACKGROUND first or without it, one without takes either as
    well: the count decides, not the spelling.

    Args:
        origin: the file of the labels, for the message.

    Raises:
        SettingError: the count does not fit.
    """
    labels = tuple(labels)
    background_first = starts_with_background(labels)
    if len(labels) == columns:
        if has_background and not background_first:
            remedy = (
                f"has {columns} labels for {columns} columns, but its first, {labels[0]!r}, would name the background; "
                f"put {BACKGROUND} first and check the count"
            )
            raise SettingError("labels", origin, remedy)
        return labels
    if has_background and len(labels) == columns - 1 and not background_first:
        return (BACKGROUND, *labels)
    if not has_background and len(labels) == columns + 1 and background_first:
        return labels[1:]
    classes = columns - has_background
    wanted = f"{classes} labels, or {columns} with {BACKGROUND} first" if has_background else f"{classes} labels"
    remedy = f"has {len(labels)} labels, but the model has {classes} classes; set {wanted}"
    raise SettingError("labels", origin, remedy)


def numbered(columns: int, has_background: bool) -> tuple[str, ...]:
    """Names for a model without labels: ``class 1``, ``class 2``, ..."""
    names = [f"class {index}" for index in range(columns)]
    return (BACKGROUND, *names[1:]) if has_background else tuple(names)
