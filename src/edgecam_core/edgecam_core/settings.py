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

"""Settings declared once, as data: type, default, range, unit and text of every parameter.

A group of settings is a frozen dataclass whose fields are declared with :func:`setting`. The checks, the ROS parameter
descriptors, the table in the docs and the comments in the shipped YAML files are derived from this declaration. The
constructor checks every field, so that an instance never contains an invalid value.

    @dataclass(frozen=True, kw_only=True)
    class BlinkSettings(Settings):
        rate: float = setting(1.0, "How often to blink.", low=0.1, high=10.0, unit="Hz", runtime=True)
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from edgecam_core.errors import SettingError, UnknownSetting
from edgecam_core.masking import HIDDEN

Scalar = bool | int | float | str
S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Spec:
    """One declared setting.

    ``type`` is bool, int, float, str, or ``tuple[X, ...]`` of one of these (a ROS array parameter).
    ``runtime`` settings may be changed while a node runs; the others are read-only.
    ``secret`` values are never logged or shown.
    """

    name: str
    type: Any
    default: Any
    text: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[Scalar, ...] = ()
    runtime: bool = False
    secret: bool = False

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.type) is tuple

    @property
    def item_type(self) -> type:
        """The scalar type: of the value, or of the items of a list."""
        return typing.get_args(self.type)[0] if self.is_list else self.type

    @property
    def type_name(self) -> str:
        """The type's name in ROS: bool, integer, double, string, or the ``[]`` of one."""
        name = {bool: "bool", int: "integer", float: "double", str: "string"}[self.item_type]
        return f"{name}[]" if self.is_list else name

    def range_text(self) -> str:
        """The allowed values in words: ``"1 to 240 Hz"``, ``"one of bgr8, rgb8"`` or ``""``."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"at least {self.low:g}{unit}"
        if self.high is not None:
            return f"at most {self.high:g}{unit}"
        return self.unit

    def check(self, value: object) -> Any:
        """The value converted to the declared type: an int to a float, a list to a tuple.

        Raises:
            SettingError: the value has the wrong type or is not allowed.
        """
        if not self.is_list:
            return self._check_item(value)
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            raise SettingError(self.name, value, f"must be a list ({self.type_name})")
        return tuple(self._check_item(item) for item in value)

    def _check_item(self, value: object) -> Scalar:
        checked = _as_type(self.item_type, value)
        displayed = HIDDEN if self.secret else value if checked is None else checked
        if checked is None:
            raise SettingError(self.name, displayed, f"must be of type {self.type_name}")
        if self.choices and checked not in self.choices:
            raise SettingError(self.name, displayed, f"must be {self.range_text()}")
        if isinstance(checked, int | float) and not isinstance(checked, bool):
            too_low = self.low is not None and checked < self.low
            too_high = self.high is not None and checked > self.high
            if too_low or too_high or not math.isfinite(checked):
                raise SettingError(self.name, displayed, f"must be {self.range_text() or 'a finite number'}")
        return checked


def _as_type(kind: type, value: object) -> Scalar | None:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, bool):
        return None
    return value if isinstance(value, kind) else None  # type: ignore[return-value]


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[Scalar, ...] = (),
    runtime: bool = False,
    secret: bool = False,
) -> Any:
    """Declare one field of a Settings dataclass; see :class:`Spec` for the meaning of the arguments."""
    metadata = {
        "text": text, "low": low, "high": high, "unit": unit,
        "choices": choices, "runtime": runtime, "secret": secret,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class of all groups of settings; subclasses are frozen keyword-only dataclasses."""

    def __post_init__(self) -> None:
        for spec in self.specs().values():
            object.__setattr__(self, spec.name, spec.check(getattr(self, spec.name)))
        self.check()

    def check(self) -> None:
        """Override to check fields against each other; raises SettingError."""

    @classmethod
    @functools.cache
    def specs(cls) -> Mapping[str, Spec]:
        """All declared settings by name, in order of declaration."""
        hints = typing.get_type_hints(cls)
        return {
            field.name: Spec(name=field.name, type=hints[field.name], default=field.default, **field.metadata)
            for field in dataclasses.fields(cls)
        }

    @classmethod
    def from_mapping(cls: type[S], values: Mapping[str, object]) -> S:
        """Create settings from names and values (YAML, ROS parameters, command line).

        Raises:
            UnknownSetting: a name is not declared.
            SettingError: a value has the wrong type or is out of range.
        """
        known = cls.specs()
        for name in values:
            if name not in known:
                raise UnknownSetting(name, known)
        return cls(**values)  # type: ignore[arg-type]

    def changed(self: S, **changes: object) -> S:
        """A checked copy with some values replaced."""
        return self.from_mapping({**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.specs()}
