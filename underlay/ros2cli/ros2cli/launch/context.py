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

"""State of the evaluation of launch files: configurations, environment, scopes, and the plan so far."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ros2cli.launch.names import Names
from ros2cli.launch.plan import ProcessSpec
from ros2cli.launch.substitutions import perform
from ros2cli.launch.template import Template, Text


@dataclass
class Scope:
    """The state that `<group>` saves and restores."""

    configurations: dict[str, str]
    environment: dict[str, str]
    namespace: str | None = None
    parameters: tuple[tuple[str, object], ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()

    def copy(self) -> Scope:
        """An independent copy."""
        return replace(self, configurations=dict(self.configurations), environment=dict(self.environment))


@dataclass
class Context:
    """State of one launch. `files` is the stack of launch files being evaluated, innermost last."""

    scope: Scope
    temporary: Path
    log_dir: Path | None
    log: Callable[[str, str, str], None]
    files: list[Path] = field(default_factory=list)
    processes: list[ProcessSpec] = field(default_factory=list)
    names: list[Names] = field(default_factory=list)
    node_names: dict[str, int] = field(default_factory=dict)
    temporary_files: int = 0

    @classmethod
    def create(
        cls,
        arguments: Mapping[str, str],
        temporary: Path,
        log_dir: Path | None = None,
        log: Callable[[str, str, str], None] = lambda level, name, text: None,
        environment: Mapping[str, str] | None = None,
    ) -> Context:
        """A new context with the arguments of the command line.

        `log(level, name, text)` receives `<log>` texts and warnings; `temporary` is the folder for parameter files.
        """
        env = os.environ if environment is None else environment
        return cls(Scope(dict(arguments), dict(env)), temporary, log_dir, log)

    @property
    def file(self) -> Path:
        """The launch file being evaluated."""
        return self.files[-1]

    def text(self, template: Template) -> str:
        """Perform a template. Raises SubstitutionError."""
        return "".join(part.value if isinstance(part, Text) else perform(self, part) for part in template)

    def write_temporary(self, text: str) -> Path:
        """Write a parameter file that exists as long as the launch."""
        self.temporary_files += 1
        path = self.temporary / f"launch_params_{self.temporary_files}"
        path.write_text(text, encoding="utf-8")
        return path

    @contextmanager
    def scoped(self, active: bool = True) -> Iterator[None]:
        """Restore the scope at the end of the block, if `active`."""
        if not active:
            yield
            return
        outer, self.scope = self.scope, self.scope.copy()
        try:
            yield
        finally:
            self.scope = outer

    @contextmanager
    def inside(self, file: Path) -> Iterator[None]:
        """Make `file` the launch file being evaluated during the block."""
        self.files.append(file)
        try:
            yield
        finally:
            self.files.pop()
