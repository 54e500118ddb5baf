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

"""Settings as command line options: ``--confidence-threshold 0.3``; repeat the option for a list."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, TypeVar

from edgecam_core.errors import SettingError
from edgecam_core.masking import masked_address
from edgecam_core.settings import Settings, Spec

S = TypeVar("S", bound=Settings)


def add_settings(parser: argparse.ArgumentParser, table: type[Settings], names: Sequence[str] = ()) -> None:
    """Add one option per setting, or only for ``names``; an option that is not given keeps its default."""
    group = parser.add_argument_group("settings")
    for name, spec in table.specs().items():
        if names and name not in names:
            continue
        option = "--" + name.replace("_", "-")
        description = f"{spec.text} {_default_text(spec)}".replace("%", "%%")
        if spec.type is bool:
            group.add_argument(option, dest=name, action=argparse.BooleanOptionalAction, default=None, help=description)
        else:
            action = "append" if spec.is_list else "store"
            shown = "|".join(map(str, spec.choices)) or spec.item_type.__name__.upper()
            group.add_argument(option, dest=name, action=action, default=None, metavar=shown, help=description)


def _default_text(spec: Spec) -> str:
    default = list(spec.default) if spec.is_list else spec.default
    limits = f"{spec.range_text()}; " if spec.low is not None or spec.high is not None else ""
    return f"({limits}default {default!r})"


def shown_address(args: argparse.Namespace, table: type[Settings], name: str) -> str:
    """The value of a setting that is an address or a path, or its default; without a password."""
    return masked_address(getattr(args, name) or table.specs()[name].default)


def settings_from(args: argparse.Namespace, table: type[S]) -> S:
    """The checked settings from parsed arguments.

    Raises:
        SettingError: a value has the wrong type or is out of range.
    """
    specs = table.specs()
    values = {name: getattr(args, name, None) for name in specs}
    return table.from_mapping({name: _parse(specs[name], value) for name, value in values.items() if value is not None})


def _parse(spec: Spec, value: Any) -> Any:
    if spec.is_list:
        return tuple(_parse_item(spec, item) for item in value)
    return value if spec.type is bool else _parse_item(spec, value)


def _parse_item(spec: Spec, text: str) -> Any:
    try:
        return spec.item_type(text)
    except ValueError:
        raise SettingError(spec.name, text, f"must be of type {spec.type_name}") from None
