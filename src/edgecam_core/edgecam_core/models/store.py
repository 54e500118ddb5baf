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

"""The model store: one folder per version of a model; ``current`` is a link to the deployed version.

    <root>/<name>/<version>/model.onnx     and its external data, if any
    <root>/<name>/<version>/model.json     SHA-256, source, time of storing
    <root>/<name>/<version>/report.*       evaluation report, if any
    <root>/<name>/current                  relative link to a version
    <root>/<name>/deployed.json            the versions deployed so far, for rollback

Plain folders can be copied, listed and repaired by hand. A version never changes; a model whose SHA-256 differs from
model.json is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam_core import cache
from edgecam_core.errors import ModelError
from edgecam_core.inference.model_file import ModelFile

SCHEME = "store:"
CURRENT, DEPLOYED, MODEL, FACTS = "current", "deployed.json", "model.onnx", "model.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class Version:
    """One stored version; ``facts`` is the content of model.json; ``current`` is true for the deployed version."""

    name: str
    number: int
    folder: Path
    facts: dict[str, Any]
    current: bool

    @property
    def path(self) -> Path:
        return self.folder / MODEL


def default_root() -> Path:
    """``$EDGECAM_MODELS``, else ``${XDG_DATA_HOME:-~/.local/share}/edgecam/models``."""
    if chosen := os.environ.get("EDGECAM_MODELS"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "edgecam" / "models"


def check_name(name: str) -> None:
    """Raise ModelError if this is not a valid model name."""
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"'{name}' is not a valid model name; use up to 80 letters, digits, '_', '-' and '.', starting with a "
            "letter or digit"
        )


class ModelStore:
    """The store in one folder. Methods block on disk access; several processes may use a store at the same time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()).expanduser()

    # Reading

    def names(self) -> list[str]:
        """The names of all models, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, oldest first. Raises ModelError for an unknown name."""
        folder = self._folder(name)
        numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())
        current = self._current_number(folder)
        return [
            Version(name, number, folder / str(number), _facts(folder / str(number)), number == current)
            for number in numbers
        ]

    def version(self, name: str, number: int | None = None) -> Version:
        """A version by number; None: the deployed one.

        Raises:
            ModelError: there is no such model or version, or none is deployed.
        """
        versions = self.versions(name)
        for version in versions:
            if version.number == number or (number is None and version.current):
                return version
        known = ", ".join(str(version.number) for version in versions) or "none"
        if number is None:
            raise ModelError(f"no version of '{name}' is deployed; deploy one of {known}")
        raise ModelError(f"'{name}' has no version {number}; there are {known}")

    def locate(self, text: str) -> Path:
        """The ONNX file of ``store:NAME`` (the deployed version) or ``store:NAME@VERSION``.

        Raises:
            ModelError: no such version, or its files have changed since they were stored.
        """
        name, _, number = text.removeprefix(SCHEME).partition("@")
        if number and not number.isdecimal():
            raise ModelError(f"parameter 'model' is '{text}': a version is a number, as in {SCHEME}{name}@3")
        chosen = self.version(name, int(number) if number else None)
        self.check(chosen)
        return chosen.path

    def check(self, version: Version) -> ModelFile:
        """Read the model. Raises ModelError if it is not the file that was stored."""
        model = ModelFile.read(version.path)
        if model.sha256 != version.facts.get("sha256"):
            raise ModelError(
                f"{version.path} is not the file that was stored as '{version.name}' version {version.number}: its "
                "SHA-256 differs from model.json; roll back, or import the new file as a new version"
            )
        return model

    # Changing

    def prepare(self, name: str) -> Path:
        """The folder of a model, created if it is missing.

        Raises:
            ModelError: invalid model name.
            CacheError: the store cannot be written.
        """
        check_name(name)
        folder = self.root / name
        with cache.explained(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add(self, model_path: Path, name: str, reports: Sequence[Path] = (), **facts: Any) -> Version:
        """Copy a model with its external data and reports into the store as the next version; does not deploy it.

        Args:
            reports: files to store as ``report.<suffix>``.
            facts: more entries for model.json.

        Raises:
            ModelError: invalid model name, or the file is not an ONNX model.
            CacheError: the store cannot be written; the incomplete version has been removed.
        """
        check_name(name)
        model = ModelFile.read(model_path)
        folder = self.prepare(name)
        with cache.lock(folder / ".lock"), cache.explained(folder):
            numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
            number = max([*numbers, *self._deployed(folder)], default=0) + 1  # never reuse a deployed number
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            try:
                shutil.copyfile(model.path, staging / MODEL)
                for data in model.data_files:
                    target = staging / data.relative_to(model.path.parent)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(data, target)
                for report in reports:
                    shutil.copyfile(report, staging / f"report{report.suffix}")
                content = {
                    **facts,
                    "sha256": ModelFile.read(staging / MODEL).sha256,
                    "source": str(model_path),
                    "stored_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                }
                cache.write(staging / FACTS, (json.dumps(content, indent=2, default=str) + "\n").encode())
                staging.chmod(0o755)
                staging.rename(folder / str(number))
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
        return self.version(name, number)

    def deploy(self, name: str, number: int | None = None) -> Version:
        """Deploy a version (None: the newest); running detectors that follow the model load it.

        Raises:
            ModelError: no such version, or its files have changed since they were stored; ``current`` does not change.
            CacheError: the store cannot be written.
        """
        if number is None:
            stored = self.versions(name)
            if not stored:
                raise ModelError(f"'{name}' has no version to deploy")
            number = stored[-1].number
        chosen = self.version(name, number)
        self.check(chosen)
        folder = self._folder(name)
        with cache.lock(folder / ".lock"):
            history = self._deployed(folder)
            if not history or history[-1] != number:
                self._write_deployed(folder, [*history, number])
            self._link(folder, number)
        return self.version(name, number)

    def rollback(self, name: str) -> Version:
        """Deploy the version that was deployed before the current one.

        Raises:
            ModelError: there is none.
            CacheError: the store cannot be written.
        """
        folder = self._folder(name)
        with cache.lock(folder / ".lock"):
            current = self._current_number(folder)
            present = {version.number for version in self.versions(name)}
            history = self._deployed(folder)
            if current in history:  # later entries were never linked: a full disk ended their deployment
                history = history[: len(history) - 1 - history[::-1].index(current)]
            before = [number for number in history if number in present and number != current]
            if current is None or not before:
                raise ModelError(f"there is no version of '{name}' to go back to")
            self.check(self.version(name, before[-1]))
            self._write_deployed(folder, before)
            self._link(folder, before[-1])
        return self.version(name, before[-1])

    def remove(self, name: str, number: int) -> None:
        """Delete a version. Raises ModelError for the deployed one, CacheError if it cannot be deleted."""
        chosen = self.version(name, number)
        if chosen.current:
            raise ModelError(f"version {number} of '{name}' is deployed; deploy another one or roll back first")
        with cache.explained(chosen.folder):
            shutil.rmtree(chosen.folder)

    # Files

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            known = ", ".join(self.names()) or "none"
            raise ModelError(f"there is no model '{name}' in {self.root}; there are {known}")
        return folder

    def _current_number(self, folder: Path) -> int | None:
        link = folder / CURRENT
        if not link.is_symlink():
            return None
        target = Path(os.path.realpath(link))  # of "2", but also of "./2" or an absolute path, made by hand
        known = target.name.isdecimal() and target.parent == folder.resolve() and target.is_dir()
        return int(target.name) if known else None

    def _link(self, folder: Path, number: int) -> None:
        with cache.explained(folder):
            staging = folder / f".{CURRENT}-{os.getpid()}"
            staging.unlink(missing_ok=True)
            staging.symlink_to(str(number))
            staging.replace(folder / CURRENT)

    def _deployed(self, folder: Path) -> list[int]:
        try:
            content = json.loads((folder / DEPLOYED).read_text())
            return [int(number) for number in content]
        except (OSError, ValueError, TypeError):
            return []

    def _write_deployed(self, folder: Path, numbers: list[int]) -> None:
        cache.write(folder / DEPLOYED, (json.dumps(numbers) + "\n").encode())


def _facts(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
