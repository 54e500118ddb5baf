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

"""Collects argument names to detect misspelt arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

OPTIONS = {"launch-prefix", "launch-prefix-filter", "sigterm_timeout", "sigkill_timeout"}
"""Configurations that the launcher itself reads, so they need no `<arg>`."""


@dataclass
class Names:
    """The arguments that a launch file and its includes can use.

    `declared` by an `<arg>`, `used` by a `$(var …)`. Not `complete` if the path of an include or a name depends on a
    value that is not known yet.
    """

    declared: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    complete: bool = True

    def add(self, other: Names) -> None:
        """Add the names of an included file."""
        self.declared |= other.declared
        self.used |= other.used
        self.complete &= other.complete

    def unknown(self, given: Iterable[str]) -> list[str]:
        """The given names that no file declares or uses."""
        return [name for name in given if name not in self.declared | self.used | OPTIONS] if self.complete else []
