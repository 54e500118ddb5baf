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

"""Files derived from a model (engines, quantised graphs): kept with a JSON sidecar that describes them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_core.errors import EdgecamError
from edgecam_core.temporary import TemporaryFolder

log = logging.getLogger(__name__)
Facts = Mapping[str, Any]


class NotBuilt(EdgecamError):
    """A file must be built first, which was not allowed."""


@dataclass(frozen=True)
class Artifact:
    """One file and its sidecar, which holds the facts it was built from. An expected fact of None matches any value."""

    path: Path

    @property
    def sidecar(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def facts(self) -> dict[str, Any]:
        """Content of the sidecar; {} if it is missing or unreadable."""
        try:
            known = json.loads(self.sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def mismatch(self, required: Facts) -> str:
        """Why the file cannot be used for these facts; empty if it can."""
        if not self.path.is_file():
            return f"it does not exist yet{self._nearest(required)}"
        known = self.facts()
        if not known:
            return f"{self.sidecar.name} is missing or unreadable, so it is unknown what the file is"
        for difference in _differences(required, known):
            return difference
        if known.get("sha256") != cache.sha256(self.path):
            return "the file is not the one its sidecar describes"
        return ""

    def _nearest(self, required: Facts) -> str:
        """How the most similar file of the same model and precision differs: why a new build is needed."""
        others = [
            (item.path.name, _differences(required, known))
            for item in list_artifacts(self.path.parent)
            if (known := item.facts())
            and all(known.get(name) == required.get(name, "") for name in ("model", "precision"))
        ]
        name, differences = min(others, key=lambda other: len(other[1]), default=("", []))
        return f"; as for {name}, {differences[0]}" if differences else ""

    def get(
        self,
        required: Facts,
        build: Callable[[], tuple[bytes, Facts]],
        *,
        rebuild: bool = False,
        allowed: bool = True,
        progress: Callable[[str], None] | None = None,
        degraded: Callable[[str], None] | None = None,
    ) -> Path:
        """The path of the file, built first if it is missing or does not match; one process at a time builds it.

        Args:
            required: the facts it must have.
            build: returns its bytes and more facts to store; its exceptions propagate.
            rebuild: build it even if it matches.
            allowed: whether it may be built.
            progress: called while waiting for another process; may raise to abort.
            degraded: called when the cache cannot be written; the file is then in a temporary folder that is removed
                when this process ends.

        Raises:
            NotBuilt: it must be built, but ``allowed`` is False.
            CacheError: the folder cannot be written and ``degraded`` is not given, or there is no temporary folder.
        """
        reason = "requested" if rebuild else self.mismatch(required)
        if not reason:
            return self.path
        if not allowed:
            raise NotBuilt(f"{self.path.name} must be built: {reason}")
        built = once(build)  # built only once, even if it cannot be stored
        try:
            return self._store(required, built, rebuild, progress)
        except cache.CacheError as error:
            if degraded is None:
                raise
            path = _temporary() / self.path.name
            cache.write(path, built()[0])
            degraded(f"{error}; until then every start rebuilds {self.path.name}")
            return path

    def _store(
        self,
        required: Facts,
        build: Callable[[], tuple[bytes, Facts]],
        rebuild: bool,
        progress: Callable[[str], None] | None,
    ) -> Path:
        with cache.lock(self.path.with_name(self.path.name + ".lock"), progress):
            reason = "requested" if rebuild else self.mismatch(required)
            if not reason:  # another process has just built it
                return self.path
            log.warning("building %s: %s", self.path.name, reason)
            data, more = build()
            self._write(data, {**required, **more})
        return self.path

    def put(self, facts: Facts, data: bytes) -> None:
        """Store these bytes, replacing the previous ones.

        Raises:
            CacheError: the folder cannot be written.
        """
        with cache.lock(self.path.with_name(self.path.name + ".lock")):
            self._write(data, facts)

    def _write(self, data: bytes, facts: Facts) -> None:
        with cache.explained(self.path.parent):
            self.sidecar.unlink(missing_ok=True)  # from here to the end the file counts as unknown
        cache.write(self.path, data)
        described = {**facts, "sha256": cache.sha256(self.path)}
        cache.write(self.sidecar, (json.dumps(described, indent=2, sort_keys=True) + "\n").encode())

    def remove(self) -> None:
        for path in (self.path, self.sidecar, self.path.with_name(self.path.name + ".lock")):
            path.unlink(missing_ok=True)


def folder(chosen: Path | None = None) -> Path:
    """The folder of artifacts: the chosen one, or ``engines`` in the cache."""
    return (chosen or cache.cache_dir("engines")).expanduser()


def _temporary() -> Path:
    try:
        return Path(_process_folder().name)
    except OSError as error:
        raise cache.CacheError(f"there is no temporary folder either: {error}") from error


@once
def _process_folder() -> TemporaryFolder:
    """One temporary folder per process, removed at its exit."""
    return TemporaryFolder("engines")


def _differences(required: Facts, known: Facts) -> list[str]:
    return [
        f"{name} is {value!r} now, the file was built for {known.get(name)!r}"
        for name, value in required.items()
        if value is not None and known.get(name) != value
    ]


def tag(facts: Facts) -> str:
    """Ten hex digits for a file name: files built from different facts have different names."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]


def list_artifacts(folder: Path) -> Iterator[Artifact]:
    """All artifacts of a folder, sorted by name."""
    for sidecar in sorted(folder.glob("*.json")):
        yield Artifact(sidecar.with_name(sidecar.name.removesuffix(".json")))
