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

"""Downloads Debian packages with apt and unpacks them into a folder; nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edgecam_core.errors import MissingDependency

from edgecam_training.errors import DatasetError

_TIMEOUT = 900.0  # seconds for one package


def unpack(package: str, folder: Path) -> Path:
    """Download a package and unpack it to ``folder/<package>``, unless that exists.

    Blocks for the download (up to 15 minutes). An interruption leaves no partly unpacked package.

    Raises:
        MissingDependency: apt-get or dpkg-deb is not installed.
        DatasetError: the package cannot be downloaded; the message includes the last line of apt's output.
    """
    target = folder / package
    if target.is_dir():
        return target
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise MissingDependency(f"the program '{tool}'", "this step needs Debian or Ubuntu; use a container of it")
    partial = folder / f"{package}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _run(["apt-get", "download", package], partial, package)
    archives = sorted(partial.glob("*.deb"))
    if not archives:
        raise DatasetError(f"apt-get download {package} wrote no file")
    _run(["dpkg-deb", "-x", archives[0].name, "tree"], partial, package)
    (partial / "tree").rename(target)
    shutil.rmtree(partial)
    return target


def _run(command: list[str], folder: Path, package: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"{' '.join(command)} did not finish in {_TIMEOUT:.0f} s") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DatasetError(f"{' '.join(command)} failed: {reason}. 'apt-get update' may help ({package})")
