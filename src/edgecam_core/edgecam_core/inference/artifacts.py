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
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

from edgecam_core import cache

log = logging.getLogger(__name__)
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Artifact:
    """One file and its sidecar. ``facts`` is what it was made from; a fact that is None fits any value."""

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

    def misfit(self, wanted: Facts) -> str:
        """Why the file cannot be used for these facts; empty where it can."""
        if not self.path.is_file():
            return f"it does not exist yet{self._nearest(wanted)}"
        known = self.facts()
        if not known:
            return f"{self.sidecar.name} is missing or unreadable, so it is unknown what the file is"
        for difference in _differences(wanted, known):
            return difference
        if known.get("sha256") != cache.sha256(self.path):
            return "the file is not the one its sidecar describes"
        return ""

    def _nearest(self, wanted: Facts) -> str:
        """How the most similar file of the same model and precision differs: the reason for a new build."""
        others = [
            (item.path.name, _differences(wanted, known))
            for item in listed(self.path.parent)
            if (known := item.facts())
            and all(known.get(name) == wanted.get(name, "") for name in ("model", "precision"))
        ]
        name, differences = min(others, key=lambda other: len(other[1]), default=("", []))
        return f"; as for {name}, {differences[0]}" if differences else ""

    def get(
        self,
        wanted: Facts,
        make: Callable[[], tuple[bytes, Facts]],
        *,
        rebuild: bool = False,
        progress: Callable[[str], None] | None = None,
        degraded: Callable[[str], None] | None = None,
    ) -> Path:
        """The file, made first where it is missing or does not fit; one process at a time makes it.

        Args:
            wanted: the facts it must have.
            make: returns its bytes and more facts to keep; its errors are passed on.
            rebuild: make it even if it fits.
            progress: called while waiting for another process; may raise to abort.
            degraded: called when the cache cannot be written; the file is then in a temporary folder that is removed
                when this process ends.

        Raises:
            CacheError: the folder cannot be written and ``degraded`` is not given, or there is no temporary folder.
        """
        if not rebuild and not self.misfit(wanted):
            return self.path
        made = once(make)  # built only once, even if it cannot be kept
        try:
            return self._keep(wanted, made, rebuild, progress)
        except cache.CacheError as error:
            if degraded is None:
                raise
            path = _temporary() / self.path.name
            cache.write(path, made()[0])
            degraded(f"{error}; until then every start rebuilds {self.path.name}")
            return path

    def _keep(
        self,
        wanted: Facts,
        make: Callable[[], tuple[bytes, Facts]],
        rebuild: bool,
        progress: Callable[[str], None] | None,
    ) -> Path:
        with cache.lock(self.path.with_name(self.path.name + ".lock"), progress):
            reason = "asked for" if rebuild else self.misfit(wanted)
            if not reason:  # another process has just made it
                return self.path
            log.warning("building %s: %s", self.path.name, reason)
            data, more = make()
            self._write(data, {**wanted, **more})
        return self.path

    def put(self, facts: Facts, data: bytes) -> None:
        """Keep these bytes in place of what was there.

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
    """Where artifacts lie: the chosen folder, or ``engines`` in the cache."""
    return (chosen or cache.cache_dir("engines")).expanduser()


def _temporary() -> Path:
    try:
        return Path(_spare().name)
    except OSError as error:
        raise cache.CacheError(f"there is no temporary folder either: {error}") from error


@once
def _spare() -> tempfile.TemporaryDirectory[str]:
    """One folder for the whole process, removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="edgecam-")


def _differences(wanted: Facts, known: Facts) -> list[str]:
    return [
        f"{name} is {value!r} now, the file was made for {known.get(name)!r}"
        for name, value in wanted.items()
        if value is not None and known.get(name) != value
    ]


def tag(facts: Facts) -> str:
    """Ten hex digits for a file's name: files made from different things have different names."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]


def listed(where: Path) -> Iterator[Artifact]:
    """All artifacts of a folder, by name."""
    for sidecar in sorted(where.glob("*.json")):
        yield Artifact(sidecar.with_name(sidecar.name.removesuffix(".json")))
