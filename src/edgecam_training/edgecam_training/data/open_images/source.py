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

"""Download source of Open Images (public servers or a mirror) and its local tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecam_training.data.open_images import transfer
from edgecam_training.data.open_images.tables import IMAGES, TABLES
from edgecam_training.errors import DatasetError

Progress = Callable[[int, int], None]
Bar = Callable[[str], Progress]
_MEGABYTE = 1_000_000


def silent(_: str) -> Progress:
    """No progress display."""
    return lambda done, total: None


@dataclass(frozen=True)
class OpenImagesSource:
    """The download source: ``tables`` and ``images`` are URLs or folders with the same structure."""

    tables: str = TABLES
    images: str = IMAGES

    @classmethod
    def mirror(cls, place: str) -> OpenImagesSource:
        """A server or folder with both: ``<place>/2018_04/…``, ``<place>/v6/…`` and ``<place>/train/<id>.jpg``."""
        return cls(place.rstrip("/"), place.rstrip("/")) if place else cls()

    def table(self, name: str, folder: Path, bar: Bar = silent) -> Path:
        """The local path of a table, downloaded if it does not exist.

        Raises:
            DatasetError: it cannot be downloaded.
        """
        path = folder / name.replace("/", "_")
        if not path.is_file():
            try:
                transfer.fetch(f"{self.tables}/{name}", path, progress=megabytes(bar(f"{Path(name).name}, MB")))
            except transfer.Missing as error:
                raise DatasetError(f"the table {self.tables}/{name} does not exist") from error
        return path


def megabytes(progress: Progress) -> Progress:
    """Convert progress in bytes to whole megabytes, reported when they change."""
    last = -1

    def report(done: int, total: int) -> None:
        nonlocal last
        if done // _MEGABYTE != last or done >= total:
            last = done // _MEGABYTE
            progress(-(-done // _MEGABYTE), max(1, -(-total // _MEGABYTE)))

    return report
