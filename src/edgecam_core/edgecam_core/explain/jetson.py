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

"""The table of NVIDIA's elements (``jetson.txt``), used for elements that are not installed."""

from __future__ import annotations

import functools
from importlib import resources
from typing import NamedTuple


class Property(NamedTuple):
    """A property. ``allowed`` is ``low..high``, comma-separated words, or empty."""

    kind: str
    allowed: str
    default: str
    meaning: str

    def refuses(self, value: str) -> str:
        """What the value must be, if it is invalid; otherwise empty."""
        if self.kind == "boolean" and value.lower() not in ("true", "false", "1", "0", "yes", "no", "t", "f"):
            return "true or false"
        if self.kind == "enum":
            words = self.allowed.split(",")
            valid = value in words or (value.isdecimal() and int(value) < len(words))
            return "" if valid else f"one of {', '.join(words)}"
        if ".." not in self.allowed:
            return ""
        low, high = (float(part) for part in self.allowed.split(".."))
        try:
            number = float(int(value, 0)) if "int" in self.kind else float(value)
        except ValueError:
            return "a whole number" if "int" in self.kind else "a number"
        return "" if low <= number <= high else f"{self.allowed.replace('..', ' to ')}"


class JetsonElement(NamedTuple):
    """An element of the table. ``instead`` is its replacement on other machines."""

    kind: str
    meaning: str
    instead: str
    properties: dict[str, Property]


@functools.cache
def table() -> dict[str, JetsonElement]:
    """All elements by name."""
    text = resources.files(__package__).joinpath("jetson.txt").read_text(encoding="utf-8")
    groups: dict[str, dict[str, Property]] = {}
    found: dict[str, JetsonElement] = {}
    current: dict[str, Property] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split("|")]
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("@"):
            current = groups.setdefault(line.strip(), {})
        elif line.startswith(" ") and words[0].startswith("@"):
            current.update(groups[words[0]])
        elif line.startswith(" "):
            current[words[0]] = Property(*words[1:5])
        else:
            current = {}
            found[words[0]] = JetsonElement(words[1], words[2], words[3], current)
    return found
