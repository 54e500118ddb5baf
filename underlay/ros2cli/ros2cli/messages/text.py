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

"""Messages as YAML and CSV, as printed by `ros2 topic echo`."""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

WIDTH = 2**31 - 1
"""Unlimited line length (libyaml needs an int)."""

_LISTS = (list, tuple, array.array, np.ndarray)


@dataclass(frozen=True)
class Style:
    """How much to print. `truncate_length` None prints everything."""

    truncate_length: int | None = None
    no_arr: bool = False
    no_str: bool = False
    flow_style: bool = False


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes one field per line even in flow style; only the items of a list are written in braces."""


def _represent_fields(dumper: Any, fields: dict[str, Any]) -> yaml.MappingNode:
    pairs = [(dumper.represent_data(name), dumper.represent_data(value)) for name, value in fields.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs)


_Dumper.add_representer(dict, _represent_fields)


def to_yaml(message: Any, style: Style = Style()) -> str:
    """The message as a YAML document without the `---`, in field order."""
    return str(
        yaml.dump(
            plain(message, style),
            Dumper=_Dumper,
            allow_unicode=True,
            width=WIDTH,
            default_flow_style=style.flow_style,
        )
    )


def to_csv(message: Any, style: Style = Style()) -> str:
    """All values, depth first, comma-separated."""
    return ",".join(_csv(value, kind, style) for _, value, kind in _fields(message))


def plain(value: Any, style: Style, kind: Any = None) -> Any:
    """Dicts, lists and scalars in place of messages and arrays."""
    limit = style.truncate_length
    if isinstance(value, bytes):
        text = "".join(map(chr, value[:limit]))
        return text + "..." if limit is not None and len(value) > limit else text
    if isinstance(value, str):
        if style.no_str:
            return f"<string length: <{len(value)}>>"
        return value[:limit] + "..." if limit is not None and len(value) > limit else value
    if isinstance(value, _LISTS):
        if style.no_arr and kind is not None:
            return abbreviate(value, kind)
        items = [plain(item, style) for item in value[:limit]]
        return [*items, "..."] if limit is not None and len(value) > limit else items
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float)):
        return value
    return {name: plain(item, style, kind) for name, item, kind in _fields(value)}


def abbreviate(value: Any, kind: Any) -> str:
    """`<sequence type: uint8, length: 3>` in place of an array field."""
    from rosidl_parser import definition

    name = _type_name(kind.value_type)
    if isinstance(kind, definition.Array):
        return f"<array type: {name}[{kind.size}]>"
    if isinstance(kind, definition.BoundedSequence):
        return f"<sequence type: {name}[{kind.maximum_size}], length: {len(value)}>"
    return f"<sequence type: {name}, length: {len(value)}>"


def _type_name(kind: Any) -> str:
    from rosidl_parser import definition

    if isinstance(kind, definition.BasicType):
        return str(kind.typename)
    if isinstance(kind, definition.AbstractString):
        return "string"
    if isinstance(kind, definition.AbstractWString):
        return "wstring"
    return "/".join(kind.namespaced_name())


def _fields(message: Any) -> list[tuple[str, Any, Any]]:
    names = message.get_fields_and_field_types().keys()
    return [(name, getattr(message, name), kind) for name, kind in zip(names, message.SLOT_TYPES, strict=True)]


def _csv(value: Any, kind: Any, style: Style) -> str:
    limit = style.truncate_length
    if isinstance(value, _LISTS):
        if style.no_arr and kind is not None:
            return abbreviate(value, kind)
        text = ",".join(_csv(item, None, style) for item in value[:limit])
        return text + ",..." if limit is not None and len(value) > limit else text
    if isinstance(value, str) and style.no_str:
        return f"<string length: <{len(value)}>>"
    if isinstance(value, str):
        return value[:limit] + "..." if limit is not None and len(value) > limit else value
    if isinstance(value, bytes):
        return str(value[:limit] + b"..." if limit is not None and len(value) > limit else value)
    if isinstance(value, (bool, int, float, np.generic)):
        return str(value)
    return to_csv(value, style)
