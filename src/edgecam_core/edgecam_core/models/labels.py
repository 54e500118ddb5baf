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
import re
from collections.abc import Sequence
from pathlib import Path

from edgecam_core.errors import ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.text_files import read_text

BACKGROUND = "BACKGROUND"
UNNAMED = "???"  # a number without a class in TensorFlow's label maps; the first is the background
_NUMBERED = re.compile(r"(\d{1,5})(?:\s*[:,;]\s*|\s+)(\S.*)")
_NUMBERED_AFTER = re.compile(r"(\S.*?)\s*[\t,;]\s*(\d{1,5})")  # a space could be part of the name: "gate 2"
_QUOTED = re.compile(r"""(["'])(.*)\1""")
_OTHER_FORMAT = re.compile(r"names\s*:|- |item\s*\{|.*\{$")


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Read labels in class order: one per line, with or without a number before it, or a JSON list or object.

    Empty lines at the end and lines that start with # are ignored.

    Raises:
        SettingError: no such file, not text, empty, or of another format, such as YAML.
    """
    path = Path(path).expanduser()
    try:
        labels = _parsed(read_text(path).strip("\ufeff\r\n "))
    except (OSError, ValueError) as error:
        remedy = f"cannot be read ({error}); use a text file with one label per line"
        raise SettingError("labels", str(path), remedy) from error
    if not any(labels):
        raise SettingError("labels", str(path), "holds no label; use a text file with one label per line")
    return tuple(labels)


def _parsed(text: str) -> list[str]:
    if text.startswith(("[", "{")):
        found = _literal(text)
        if not isinstance(found, list | tuple | dict):
            raise ValueError("it begins like JSON, but is not")
        return [str(label).strip() for label in (_by_number(found) if isinstance(found, dict) else found)]
    lines = [line.strip() for line in text.splitlines() if not line.startswith("#")]
    if any(_OTHER_FORMAT.match(line) for line in lines):
        raise ValueError("it is YAML, or a label map of TensorFlow")
    if len(lines) == 1 and "," in lines[0]:
        raise ValueError("all is on one line")
    if all(_QUOTED.fullmatch(line) for line in lines):
        lines = [line[1:-1] for line in lines]
    return _without_numbers(lines)


def _without_numbers(lines: list[str]) -> list[str]:
    """Sort lines such as ``0 person``, ``1: person`` or ``person,1`` if all have a number of their own, from 0 or 1.

    Missing numbers get the label ``???``. Other lines are returned unchanged.
    """
    found = _numbers(lines, _NUMBERED, 1, 2) or _numbers(lines, _NUMBERED_AFTER, 2, 1)
    least, most = min(found, default=0), max(found, default=0)
    if len(found) < 2 or least > 1 or most >= 2 * len(found):
        return lines
    return [found.get(number, UNNAMED) for number in range(least, most + 1)]


def _numbers(lines: list[str], pattern: re.Pattern[str], number: int, name: int) -> dict[int, str]:
    """Names by number, which are these groups of the pattern; empty unless every line has a number of its own."""
    matches = [pattern.fullmatch(line) for line in lines if line]
    found = {int(match[number]): match[name] for match in matches if match}
    return found if len(found) == len(matches) else {}


def metadata_labels(model: ModelFile) -> tuple[str, ...]:
    """The labels in a model's metadata, ``edgecam.labels`` or the Ultralytics exporter's ``names``; empty if none.

    Raises:
        ModelError: not a list, damaged, or class numbers that are not 0, 1, 2, ...
    """
    own = model.fact("labels")
    if own is not None and not isinstance(own, list | tuple | dict):
        raise ModelError(f"{model.path} has metadata edgecam.labels = {own!r}; it must be a JSON list of class names")
    text = model.metadata.get("names", "")
    found = own or _literal(text)
    if text.startswith(("[", "{", "(")) and not isinstance(found, list | tuple | dict):
        raise ModelError(
            f"{model.path} has metadata names = {text[:200]!r}, which is damaged; correct it, or add the metadata "
            "edgecam.labels, a JSON list"
        )
    if isinstance(found, dict):
        try:
            found = _by_number(found)
        except ValueError as error:
            raise ModelError(f"{model.path} {error}") from error
    if not isinstance(found, list | tuple):
        return ()
    return tuple(str(label).strip("\ufeff \t\r\n") for label in found)


def _by_number(names: dict[object, object]) -> list[object]:
    """Raise ValueError unless they are numbered from 0 without a gap."""
    try:
        numbered = {int(str(number)): name for number, name in names.items()}
    except ValueError:
        numbered = {}
    if sorted(numbered) != list(range(len(names))):
        raise ValueError(f"names its classes {', '.join(map(str, names))}; they must be numbered 0 to {len(names) - 1}")
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
    return bool(labels) and (labels[0] == UNNAMED or is_background(labels[0]))


def is_background(label: str) -> bool:
    """Whether a label names the background: BACKGROUND, __background__."""
    return label.casefold().strip("_ ") == "background"


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
