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

"""Which files count as images, and the order in which a folder of images is read."""

from __future__ import annotations

import re
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
"""Lower case, with the dot: formats that both OpenCV and GStreamer read on every platform."""


def is_image_file(path: Path) -> bool:
    """Whether the name is that of an image; hidden files do not count (macOS creates ``._x.jpg`` next to ``x.jpg``)."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts ``frame2`` before ``frame10``, for folder names as well."""
    pieces = re.split(r"(\d+)", str(path))
    return [(0, int(piece), piece) if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def image_files(folder: Path, recursive: bool = True) -> list[Path]:
    """The image files of a folder, and of its subfolders if ``recursive``, in natural order."""
    entries = folder.rglob("*") if recursive else folder.iterdir()
    return sorted((path for path in entries if is_image_file(path) and path.is_file()), key=natural_key)
