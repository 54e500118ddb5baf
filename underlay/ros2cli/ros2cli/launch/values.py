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

"""Converts text in launch files to values: of the declared type, otherwise by the rules of YAML 1.1.

As in the launch front ends, a typed attribute is checked twice: when the file is read, where mismatching text is kept
because it may contain substitutions, and after substitution, where it must match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from ros2cli.launch import template as tpl

SCALARS = (bool, int, float, str)


class TypeMismatch(ValueError):
    """The text is not of the required type."""


TYPES: dict[str, tuple[type | None, bool]] = {
    "str": (str, False),
    "bool": (bool, False),
    "int": (int, False),
    "float": (float, False),
    "list_of_str": (str, True),
    "list_of_bool": (bool, True),
    "list_of_int": (int, True),
    "list_of_float": (float, True),
    "yaml": (None, False),
}
"""The `type` attribute of `<param>`: scalar type (None: by YAML rules), and whether it is a list."""


@dataclass(frozen=True)
class Perform:
    """A part of a typed value that contains substitutions."""

    template: tpl.Template


@dataclass(frozen=True)
class TypedValue:
    """A parsed `value` attribute. `parsed` is a scalar, a Perform, or a list of both."""

    type_name: str
    parsed: Any

    @classmethod
    def parse(cls, text: str, type_name: str = "yaml", separator: str | None = None) -> TypedValue:
        """Read an attribute. Raises TypeMismatch and SubstitutionError."""
        if separator is None:
            value = coerce(text, type_name, keep_text=True)
        else:
            value = [coerce(item, item_type(type_name), keep_text=True) for item in text.split(separator)]
        if isinstance(value, list):
            parsed: Any = [_parse_item(item, TYPES[type_name][0]) for item in value]
            _check_uniform([item for item in parsed if not isinstance(item, Perform)], text)
        else:
            parsed = _parse_item(value, TYPES[type_name][0])
        return cls(type_name, parsed)

    def templates(self) -> list[tpl.Template]:
        """The templates to perform."""
        items = self.parsed if isinstance(self.parsed, list) else [self.parsed]
        return [item.template for item in items if isinstance(item, Perform)]

    def evaluate(self, text_of: Callable[[tpl.Template], str]) -> Any:
        """The value, with substitutions performed by `text_of`. Raises TypeMismatch."""
        if isinstance(self.parsed, Perform):
            return coerce(text_of(self.parsed.template), self.type_name)
        if not isinstance(self.parsed, list):
            return self.parsed
        kind = item_type(self.type_name)
        values = [coerce(text_of(item.template), kind) if isinstance(item, Perform) else item for item in self.parsed]
        _check_uniform(values, str(values))
        return values


def item_type(type_name: str) -> str:
    """The item type of a list. Raises TypeMismatch for a scalar type."""
    kind, is_list = TYPES[type_name]
    if kind is None:
        return "yaml"
    if not is_list:
        raise TypeMismatch(f"a list of values does not fit type='{type_name}'")
    return kind.__name__


def coerce(text: str, type_name: str = "yaml", keep_text: bool = False) -> Any:
    """Text to a value; with `keep_text`, text that does not fit stays text. Raises TypeMismatch."""
    kind, is_list = TYPES[type_name]
    if is_list:
        values = _yaml(text, keep_text)
        allowed = (str, kind) if keep_text else (kind,)
        if not isinstance(values, list) or not all(type(value) in allowed for value in values):
            raise TypeMismatch(f"'{text}' is not a {type_name}")
        return values
    if kind is None:
        return _allowed(_yaml(text, keep_text), text, keep_text)
    if kind is str:
        return text
    if kind is bool:
        return _bool(text, keep_text)
    try:
        return kind(text)
    except ValueError as error:
        if keep_text:
            return text
        raise TypeMismatch(f"'{text}' is not of type {type_name}") from error


def to_bool(text: str) -> bool:
    """`1`, `0`, and the booleans of YAML. Raises TypeMismatch."""
    return bool(_bool(text, keep_text=False))


def to_condition(text: str) -> bool:
    """The value of an `if` or `unless` attribute. Raises TypeMismatch."""
    value = text.strip().lower()
    if value not in ("true", "1", "false", "0"):
        raise TypeMismatch(f"expected one of [true, 1, false, 0] but got '{value}'")
    return value in ("true", "1")


def _bool(text: str, keep_text: bool) -> Any:
    value = {"1": True, "0": False}[text] if text in ("1", "0") else _yaml(text, keep_text)
    if isinstance(value, bool) or (keep_text and isinstance(value, str)):
        return value
    raise TypeMismatch(f"'{text}' is not a boolean (true or false)")


def _parse_item(value: Any, kind: type | None) -> Any:
    if not isinstance(value, str):
        return value
    parsed = tpl.parse(value)
    plain = tpl.literal(parsed)
    if plain is None:
        return Perform(parsed)
    if kind not in (None, str):
        raise TypeMismatch(f"'{plain}' is not of type {kind.__name__ if kind else ''}")
    return plain


def _yaml(text: str, keep_text: bool) -> Any:
    if not text:
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        if keep_text:
            return text
        raise TypeMismatch(f"'{text}' is not valid YAML: {' '.join(str(error).split())}") from error


def _allowed(value: Any, text: str, keep_text: bool) -> Any:
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, list):
        _check_uniform([item for item in value if not (keep_text and isinstance(item, str))], text)
        return value
    raise TypeMismatch(f"'{text}' gives {type(value).__name__}; allowed are bool, int, float, str and lists of one")


def _check_uniform(values: list[Any], text: str) -> None:
    kinds = {type(value) for value in values}
    if len(kinds) > 1 or not kinds <= set(SCALARS):
        raise TypeMismatch(f"'{text}' mixes types; a list must hold only bool, int, float or str")
