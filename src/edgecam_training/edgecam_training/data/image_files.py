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

"""Image files of a data set: resolves their names from annotations and reads headers without decoding."""

from __future__ import annotations

import os
import posixpath
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgecam_core.media.image_files import IMAGE_SUFFIXES
from edgecam_core.media.image_header import image_size, is_jpeg
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

SUFFIXES = (*IMAGE_SUFFIXES, ".jfif", ".jpe")
MOST_PIXELS = 150_000_000  # 450 MB decoded; more means a damaged header, or not a photograph
_HEAD = 65536  # bytes that contain a JPEG's EXIF data and size, unless a large thumbnail or profile comes first
_ORIENTATION = 0x0112  # EXIF tag
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height

ABSENT = "image file missing"
OUTSIDE = "image name leaves the data set's folder"
SEVERAL = "image name matches several files"


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image: ``stored`` is (width, height) in the file; ``orientation`` is EXIF's, 1 to
    8."""

    stored: tuple[int, int]
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """(width, height) after EXIF's rotation: the size that every reader of edgecam returns."""
        width, height = self.stored
        return (height, width) if self.orientation in _TURNED else (width, height)


def read_header(path: Path) -> Header | str:
    """Size and orientation of an image, or why it cannot be used. Reads a few kilobytes."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if is_jpeg(head) and b"Exif" not in head and (size := image_size(head)):
            return _accepted(size)  # Pillow takes twenty times as long
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about large images; the limit is ours
            with Image.open(path) as image:
                # Pillow would decode a whole PNG to look for EXIF data behind the pixels.
                exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
                orientation = exif.get(_ORIENTATION, 1)
                # For TIFF only, Pillow returns the size after rotation.
                stored = (image.tag_v2[256], image.tag_v2[257]) if isinstance(image, TiffImageFile) else image.size
    except FileNotFoundError:
        return ABSENT
    except Image.DecompressionBombError:
        return f"image larger than {MOST_PIXELS // 1_000_000} megapixels"
    except Exception:  # Pillow's parsers raise many types on damaged bytes
        return "file is not a readable image"
    return _accepted(stored, orientation if orientation in range(1, 9) else 1)


def _accepted(stored: tuple[int, int], orientation: int = 1) -> Header | str:
    if stored[0] * stored[1] > MOST_PIXELS:
        return f"image larger than {MOST_PIXELS // 1_000_000} megapixels"
    return Header(stored, orientation)


def read_headers(paths: Sequence[Path]) -> Iterator[Header | str]:
    """The headers of many files, in order; uses a few threads, since most of the time is disk access."""
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        yield from pool.map(read_header, paths, chunksize=64)


def hidden(path: Path) -> bool:
    """Whether a file was created by an operating system: ``._x.jpg``, ``.DS_Store``, ``__MACOSX``."""
    return path.name.startswith(".") or "__MACOSX" in path.parts


def images_in(folder: Path) -> list[Path]:
    """All image files below a folder, sorted."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not hidden(path) and path.is_file()
    )


def normal(name: str) -> str:
    """A file name in composed form (NFC): macOS stores "ö" as "o" and "¨"; annotations use either form."""
    return unicodedata.normalize("NFC", name)


class ImageNotFound(Exception):
    """There is no usable file; the message is the reason in the table of findings."""


class ImageIndex:
    """The images below ``root``, by their names in annotations."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return _grouped(images_in(self.root), lambda path: path.name)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return _grouped(images_in(self.root), lambda path: path.stem)

    def find(self, name: str, near: Iterable[Path] = ()) -> Path:
        """The file that an annotation names, relative to one of ``near`` or to the root, else by its bare name.

        Of an absolute path, which is from another machine, only the last parts are used. The result is below the root.

        Raises:
            ImageNotFound: missing, ambiguous, or outside.
        """
        given = name.strip().replace("\\", "/")
        absolute = given.startswith("/") or given[1:2] == ":"
        outside = False
        for folder in () if absolute or not given else (*near, self.root):
            place = Path(os.path.normpath(folder / given))
            if not inside(place, self.root):
                outside = True
            elif place.is_file():
                return place
        if outside:
            raise ImageNotFound(OUTSIDE)
        return self._choose(self._by_name.get(_key(posixpath.basename(given)), []), given, near)

    def find_stem(self, stem: str, near: Iterable[Path] = ()) -> Path:
        """The image called ``stem`` with any suffix; ``stem`` may contain folders.

        Raises:
            ImageNotFound: missing or ambiguous.
        """
        return self._choose(self._by_stem.get(_key(posixpath.basename(stem)), []), stem, near)

    def _choose(self, found: list[Path], name: str, near: Iterable[Path]) -> Path:
        """The only file; of several, the one whose folders match ``name`` best, or the one near the annotation."""
        if not found:
            raise ImageNotFound(ABSENT)
        if len(found) == 1:
            return found[0]
        tail = [part for part in name.split("/") if part][:-1]
        scored = [(_common_folders(path.parent.parts, tail), path) for path in found]
        best = max(score for score, _ in scored)
        chosen = [path for score, path in scored if score == best]
        if len(chosen) > 1:
            chosen = [path for path in chosen if any(inside(path, folder) for folder in near)] or chosen
        if len(chosen) > 1:
            raise ImageNotFound(SEVERAL)
        return chosen[0]


def _key(name: str) -> str:
    return normal(name).casefold()


def _common_folders(parts: Sequence[str], tail: Sequence[str]) -> int:
    """How many trailing folder names two paths share."""
    count = 0
    for one, other in zip(reversed(parts), reversed(tail), strict=False):
        if normal(one) != normal(other):
            break
        count += 1
    return count


def _grouped(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        found[_key(key(path))].append(path)
    return found


def inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder by name. Symbolic links are not resolved: some data sets link their images."""
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))
