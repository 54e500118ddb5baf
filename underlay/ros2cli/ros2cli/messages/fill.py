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

"""Builds messages from YAML values, as accepted by `ros2 topic pub` and `ros2 service call`."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from ros2cli.errors import CliError
from ros2cli.messages.types import message_type

StampSetter = Callable[[Any], None]


def read_values(text: str) -> dict[str, Any]:
    """The YAML text of a message. Raises CliError unless it is a dictionary."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CliError(f"The passed value is not valid YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise CliError("The passed value needs to be a dictionary in YAML format")
    return values


def fill(message: Any, values: dict[str, Any], stamps: bool = False) -> list[StampSetter]:
    """Set a message's fields; fields that are not named keep their defaults. Raises CliError.

    With `stamps`, a header given as `auto` or a time given as `now` is set again for each message, by the returned
    functions.
    """
    setters: list[StampSetter] = []
    try:
        _fill(message, values, setters if stamps else None)
    except Exception as error:  # message classes raise AssertionError, TypeError, OverflowError and others
        raise CliError(f"Failed to populate field: {error}") from error
    return setters


def _fill(message: Any, values: Any, setters: list[StampSetter] | None) -> None:
    if not isinstance(values, dict):
        raise TypeError(f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}")
    kinds = dict(zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True))
    for name, given in values.items():
        if name not in kinds:
            raise AttributeError(f"'{type(message).__name__}' has no field '{name}', it has: {', '.join(kinds)}")
        if setters is not None and _is_stamp(message, name, given, setters):
            continue
        setattr(message, name, _value(getattr(message, name), kinds[name], given, setters))


def _is_stamp(message: Any, name: str, given: Any, setters: list[StampSetter]) -> bool:
    field = getattr(message, name)
    kind = f"{type(field).__module__}.{type(field).__name__}"
    if given == "auto" and kind == "std_msgs.msg._header.Header":
        setters.append(lambda stamp: setattr(field, "stamp", stamp))
        return True
    if given == "now" and kind == "builtin_interfaces.msg._time.Time":
        setters.append(lambda stamp: setattr(message, name, stamp))
        return True
    return False


def _value(current: Any, kind: Any, given: Any, setters: list[StampSetter] | None) -> Any:
    """The given value, converted to the field's type."""
    if isinstance(current, array.array):
        return array.array(current.typecode, given)
    if isinstance(current, np.ndarray):
        return np.array(given, dtype=current.dtype)
    if isinstance(current, list):
        return _items(kind, list(given), setters)
    if hasattr(current, "SLOT_TYPES"):
        filled = type(current)()
        _fill(filled, given, setters)
        return filled
    return given if type(given) is type(current) else type(current)(given)


def _items(kind: Any, given: list[Any], setters: list[StampSetter] | None) -> list[Any]:
    """Items of a sequence: messages are filled, scalars are used unchanged."""
    item = kind.value_type
    if not hasattr(item, "namespaces"):
        return given
    item_type = message_type("/".join(item.namespaced_name()))
    items = []
    for values in given:
        filled = item_type()
        _fill(filled, values, setters)
        items.append(filled)
    return items
